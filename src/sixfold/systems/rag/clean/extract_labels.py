"""What authors call the parts of a page: class, id, role and itemprop words, read as content or furniture.

The words are those that themes, content systems and documentation generators share; none belongs to one site.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = ["ASIDE", "BODY", "COMMENTS", "FURNITURE", "MAX_NAME_CHARS", "META", "label_of_names", "words"]

MAX_NAME_CHARS: Final = 400  # of a class or id; longer ones are machine-made and say nothing

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
ABOUT_PAGE = words(
    "has have no not with without show hide is js enable enabled category tag term topic type status"
)

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
# What an author sets into the text from elsewhere is part of the text.
EMBED_WORDS = words("embed tweet")

META_WORDS = words(
    "byline bylines author authors dateline timestamp date datetime pubdate published updated credit credits"
    " caption captions figcaption wpcaption tags tag taglist categories category kicker eyebrow meta metadata"
    " postmeta source sources label readtime reading"
)
BODY_PAIRS = words(
    "article-body article-content article-text article-copy body-copy body-text"
    " entry-body entry-content markdown-body news-body news-content news-text"
    " parser-output post-body post-content post-text rich-text story-body"
    " story-content story-text"
)
BODY_WORDS = words("articlebody articlecontent articletext entrycontent postbody postcontent storybody")

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SPLIT = re.compile(r"[^a-z0-9]+")


@lru_cache(maxsize=1 << 15)
def label_of_names(names: str) -> int:
    """The label of a space-separated list of class or id names: a set of the bits above."""
    found = 0
    embed = False
    for name in names.split():
        parts = [part for part in _SPLIT.split(_CAMEL.sub("-", name).lower()) if part]
        if not parts or (len(parts) > 1 and parts[0] in ABOUT_PAGE):
            continue
        before = ""
        for part in parts:
            found |= _label_of_word(part)
            pair = f"{before}-{part}"
            if pair in FURNITURE_PAIRS:
                found |= FURNITURE
            elif pair in BODY_PAIRS:
                found |= BODY
            embed = embed or part in EMBED_WORDS
            before = part
    return found & ~(FURNITURE | ASIDE) if embed else found


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
