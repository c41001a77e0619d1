"""A real browser draws the page without a complaint."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from sixfold.report import write_report
from sixfold.study.run_folder import RunFolder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"),
    reason="chromium is not installed: apt-get install chromium",
)
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--enable-logging=stderr",
)  # fmt: skip


def chromium(profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None, "CI installs chromium"
    command = [CHROMIUM, *QUIET, f"--user-data-dir={profile}", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def test_the_page_is_drawn_whole_and_without_errors(run: RunFolder, tmp_path: Path) -> None:
    url = write_report(run).as_uri()
    dumped = chromium(tmp_path / "one", "--dump-dom", url)
    assert dumped.stdout.count("<svg") >= 15
    assert "CONSOLE" not in dumped.stderr
    assert "</footer>" in dumped.stdout


@pytest.mark.parametrize(("scheme", "paper"), [("1", (0xFF, 0xFF, 0xFF)), ("0", (0x10, 0x13, 0x18))])
def test_light_and_dark_are_both_drawn(
    scheme: str, paper: tuple[int, int, int], run: RunFolder, tmp_path: Path
) -> None:
    png = tmp_path / "page.png"
    size = ("--window-size=640,900", f"--blink-settings=preferredColorScheme={scheme}")
    chromium(tmp_path / "one", *size, f"--screenshot={png}", write_report(run).as_uri())
    assert png.stat().st_size > 20_000
    with Image.open(png) as image:
        drawn = {colour for _, colour in image.convert("RGB").getcolors(1 << 20) or ()}
        assert image.size == (640, 900)
    assert paper in drawn
    assert len(drawn) > 50
