"""What authors call the parts of a page: class, id, role and itemprop words, read as content or furniture.

The words are those that themes, content systems and documentation generators share; none belongs to one site.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

__all__ = [
    "ASIDE",
    "BODY",
    "COMMENTS",
    "FURNITURE",
    "HEADINGS",
    "MAX_NAME_CHARS",
    "META",
    "TAG_LABELS",
    "label_of_element",
    "label_of_names",
    "words",
]

MAX_NAME_CHARS: Final = 400  # of a class or id; longer ones are machine-made

# What a box is called, as a set of bits (plain ints: enum.Flag took a third of the time of an extraction).
FURNITURE: Final = 1  # navigation, sharing, promotion, related links, hidden things: around the content
ASIDE: Final = 2  # beside the text: furniture, or a box of the text itself
COMMENTS: Final = 4  # what readers say, not the author
META: Final = 8  # byline, date, tags, caption, credits: about the content
BODY: Final = 16  # said to be the body of the article


def words(text: str) -> frozenset[str]:
    """The words of a list written as one string."""
    return frozenset(text.split())


# A class such as has-sidebar, no-comments or category-social tells about the page, not what its box is.
ABOUT_PAGE = words("has have no not with without show hide is js enable enabled category tag term topic type status")

FURNITURE_WORDS = words(
    # ways around the site
    "nav navbar navigation menu submenu breadcrumb breadcrumbs pagination pager sitemap skip jump masthead"
    " topbar toolbar prev previous next sidenav footer foot colophon headerlink"
    # ways to pass it on, or to react
    " share sharing shares social addthis sharethis follow feedback rating ratings vote votes like likes"
    " reactions poll survey print email"
    # other pages
    " related recommended recommendation recommendations recirc recirculation trending popular outbrain"
    " taboola teaser teasers promo promos promotion upnext"
    # asking for something
    " ad ads advert advertisement advertising adsense dfp sponsor sponsored sponsors newsletter newsletters"
    " subscribe subscription signup donate donation cta optin login signin register cookie cookies consent"
    " gdpr modal popup dialog overlay tooltip toast banner disclaimer copyright"
)
FURNITURE_STEMS = (
    "advert", "breadcrumb", "newsletter", "outbrain", "recommend", "related", "sharebar", "sharebutton",
    "sharetool", "social", "sponsor", "subscri", "taboola", "trending",
)  # fmt: skip
FURNITURE_PAIRS = words(
    "most-read most-popular most-viewed read-more read-next read-also see-also also-read more-from more-on"
    " more-stories more-articles more-news next-article next-post prev-post previous-post next-story up-next"
    " author-bio author-box author-info about-author top-stories latest-news editors-picks you-may may-like"
    " inline-related post-navigation site-header site-footer page-header page-footer global-header"
    " global-footer tag-list related-posts back-to to-top sr-only visually-hidden screen-reader"
)
ASIDE_WORDS = words("aside rail widget widgets")
ASIDE_STEMS = ("sidebar",)
COMMENTS_WORDS = words("respond reply replies responses")
COMMENTS_STEMS = ("comment", "disqus")
# What an author sets into the text from elsewhere is part of the text, in whatever widget it comes.
EMBED_WORDS = words("embed tweet")
EMBED_WRAPPER_WORDS = words("social widget")

META_WORDS = words(
    "byline bylines author authors dateline timestamp date datetime pubdate published updated credit credits"
    " caption captions figcaption wpcaption tags tag taglist categories category kicker eyebrow meta metadata"
    " postmeta label readtime reading"
)
BODY_PAIRS = words(
    "article-body article-content article-text article-copy body-copy body-text"
    " entry-body entry-content markdown-body news-body news-content news-text"
    " parser-output post-body post-content post-text rich-text story-body"
    " story-content story-text"
)
BODY_WORDS = words("articlebody articlecontent articletext entrycontent postbody postcontent storybody")

TAG_LABELS = {
    "nav": FURNITURE,
    "footer": FURNITURE,
    "dialog": FURNITURE,
    "form": FURNITURE,
    "aside": ASIDE,
    "figcaption": META,
    "address": META,
    "time": META,
}
ROLE_LABELS = {"complementary": ASIDE} | dict.fromkeys(
    words(
        "alert alertdialog banner contentinfo dialog form menu menubar navigation search status tablist toolbar tooltip"
    ),
    FURNITURE,
)
HEADINGS = words("h1 h2 h3 h4 h5 h6")
# The id of one of these is the anchor of what it is about (as is any id with a dot), not a name of its role.
ANCHOR_TAGS = HEADINGS | words("a dd dt li p section span td tr")

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SPLIT = re.compile(r"[^a-z0-9]+")


@lru_cache(maxsize=1 << 15)
def label_of_names(names: str) -> int:
    """The label of a space-separated list of class or id names: a set of the bits above."""
    lists = [_parts(name) for name in names.split()]
    quoted = any(part in EMBED_WORDS for parts in lists for part in parts)
    found = 0
    for parts in lists:
        before = ""
        for part in parts:
            if not (quoted and part in EMBED_WRAPPER_WORDS):
                found |= _label_of_word(part)
            pair = f"{before}-{part}"
            if pair in FURNITURE_PAIRS:
                found |= FURNITURE
            elif pair in BODY_PAIRS:
                found |= BODY
            before = part
    return found


def _parts(name: str) -> list[str]:
    parts = [part for part in _SPLIT.split(_CAMEL.sub("-", name).lower()) if part]
    return [] if len(parts) > 1 and parts[0] in ABOUT_PAGE else parts


def _label_of_word(word: str) -> int:
    if word in FURNITURE_WORDS or word.startswith(FURNITURE_STEMS):
        return FURNITURE
    if word in ASIDE_WORDS or word.startswith(ASIDE_STEMS):
        return ASIDE
    if word in COMMENTS_WORDS or word.startswith(COMMENTS_STEMS):
        return COMMENTS
    if word in META_WORDS:
        return META
    return BODY if word in BODY_WORDS else 0


def label_of_element(tag: str, attrs: Mapping[str, str]) -> int:
    """The label of an element by its tag, its names and whether it is hidden."""
    label = TAG_LABELS.get(tag, 0)
    for key, value in attrs.items():
        if key == "class":
            label |= label_of_names(value[:MAX_NAME_CHARS])
        elif key == "id":
            if tag not in ANCHOR_TAGS and "." not in value:
                label |= label_of_names(value[:MAX_NAME_CHARS]) & ~META
        elif key == "role":
            label |= ROLE_LABELS.get(value.strip().lower(), 0)
        elif key == "itemprop":
            if value.strip() == "articleBody":
                label |= BODY
        elif key == "style":
            if "none" in value and "display:none" in value[:MAX_NAME_CHARS].replace(" ", ""):
                label |= FURNITURE
        elif key == "hidden" or (key == "aria-hidden" and value == "true"):
            label |= FURNITURE
    return label
