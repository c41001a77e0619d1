"""Matplotlib figures as inline SVG that takes its colours and its font from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "canvas", "inline"]

# Matplotlib knows no CSS variables: it draws with these hex colours, which stand for nothing but a name.
COLOURS = {
    name: f"#0a0b{number:02x}"
    for number, name in enumerate(
        (
            "ink",
            "muted",
            "hairline",
            "surface",
            "accent",
            "compute",
            "communication",
            "idle",
            "rework",
            "warn",
        ),
        start=1,
    )
}
_POINT_PX = 72  # the SVG backend draws 72 units an inch: one figure unit here is one CSS pixel

_HEX = re.compile(r"#0a0b[0-9a-f]{2}")
_COLOUR_ATTRIBUTE = re.compile(r'\b(fill|stroke)="(#0a0b[0-9a-f]{2})"')  # where var() is not allowed
_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_STYLE_ELEMENT = re.compile(r"\s*<defs>\s*<style[^>]*>.*?</style>\s*</defs>", re.DOTALL)  # would style the page
_ROOT = re.compile(r"<svg\b[^>]*?viewBox=\"([^\"]+)\"[^>]*>")
_FONT_FAMILY = re.compile(r"\s*font-family: [^;\"]+;?")
_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(?:xlink:href="#|url\(#)([^")]+)')


@contextmanager
def canvas(width_px: float, height_px: float, margins_px: tuple[float, float, float, float]) -> Iterator[Figure]:
    """A figure with one axes inside the margins (left, right, bottom, top), drawn in the page's colours."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings = {
        "svg.fonttype": "none",  # text stays text: it takes the page's font and can be selected
        "svg.hashsalt": "sixfold",
        "svg.image_inline": True,
        "text.parse_math": False,
        "font.family": ["DejaVu Sans"],
        "font.size": 11.5,
        "hatch.linewidth": 1.2,
        "path.simplify": False,
    }
    left, right, bottom, top = margins_px
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width_px / _POINT_PX, height_px / _POINT_PX), dpi=_POINT_PX, facecolor="none")
        FigureCanvasSVG(figure)
        axes = figure.add_axes(
            (
                left / width_px,
                bottom / height_px,
                (width_px - left - right) / width_px,
                (height_px - bottom - top) / height_px,
            ),
            facecolor="none",
        )
        _quiet(axes)
        yield figure


def inline(figure: Figure, ident: str, title: str, description: str) -> Markup:
    """The figure as an <svg> element: ids begin with `ident`; title and description are for screen readers.

    Call it inside the `canvas` that made the figure.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = _PROLOGUE.sub("", buffer.getvalue(), count=1)
    text = _STYLE_ELEMENT.sub("", _METADATA.sub("", text))
    text = _FONT_FAMILY.sub("", text)
    text = _scope_ids(text, ident)
    text = _COLOUR_ATTRIBUTE.sub(r'style="\1: \2"', text)
    names = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
    text = _HEX.sub(lambda match: names[match.group()], text)
    box = _ROOT.search(text)
    if box is None:
        raise ValueError("matplotlib wrote an SVG without a viewBox")
    head = (
        f'<svg viewBox="{box.group(1)}" role="img" aria-labelledby="{ident}-title {ident}-desc">'
        f'<title id="{ident}-title">{escape(title)}</title>'
        f'<desc id="{ident}-desc">{escape(description)}</desc>'
    )
    # The text in it is numbers and our own words (names stand beside it, as HTML), so it needs no escaping.
    return Markup(text.replace(box.group(), head, 1).strip())  # noqa: S704


def _quiet(axes: Axes) -> None:
    """No frame, hairline grid on demand, muted ticks."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(COLOURS["hairline"])
        axes.spines[side].set_linewidth(1.0)
    axes.tick_params(
        length=0, pad=5, labelsize=11.5, labelcolor=COLOURS["muted"], color=COLOURS["hairline"], which="both"
    )
    axes.set_axisbelow(True)


def _scope_ids(text: str, ident: str) -> str:
    """Keep only the ids that are referred to, below `ident`, so that two figures on a page do not collide."""
    used = {name: f"{ident}-{number}" for number, name in enumerate(dict.fromkeys(_REFERENCE.findall(text)), 1)}
    text = _ID.sub(lambda match: f'id="{used[match.group(1)]}"' if match.group(1) in used else "", text)
    text = re.sub(r'xlink:href="#([^"]+)"', lambda match: f'href="#{used[match.group(1)]}"', text)
    return re.sub(r"url\(#([^)]+)\)", lambda match: f"url(#{used[match.group(1)]})", text)
