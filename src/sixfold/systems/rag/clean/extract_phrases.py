"""What sites everywhere write around a text: headings that end it, notices that are never part of it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ends_text", "is_notice"]

MAX_HEADING_CHARS: Final = 60
MAX_NOTICE_CHARS: Final = 600

# Whole headings of what follows a text. A bare "comments", "related" or "see also" can head a section of a
# manual, so these are not here.
_ENDINGS = (
    r"(?:leave|post|write|add) (?:a|your) (?:reply|comment)s?",
    r"join the (?:conversation|discussion)",
    r"(?:\d+|one|no) (?:comments?|responses?|replies|thoughts?)(?: (?:on|to|yet)\b.*)?",
    r"(?:related|recommended|similar|popular|latest|recent|more) "
    r"(?:articles?|posts?|stories|news|content|reading|videos?)",
    r"more (?:from|in|on|great|like) .*",
    r"(?:most|top) (?:read|popular|viewed|shared|stories|commented)",
    r"you (?:may|might) (?:also )?(?:like|enjoy|be interested in).*",
    r"recommended for you|what to read next|read (?:next|more|also|this next)|up next|around the web",
    r"trending(?: (?:now|stories|articles|posts))?|sponsored(?: (?:content|stories|links))?",
    r"about the authors?|share (?:this|on|via)\b.*|filed under.*|sign up (?:for|to)\b.*",
    r"subscribe (?:to|for|now)\b.*",
    r"das könnte (?:sie|dich) auch interessieren|ähnliche (?:artikel|beiträge)",
    r"(?:schreibe|hinterlasse) einen kommentar",
    r"articles? similaires|à lire aussi|laisser un commentaire|sur le même (?:sujet|thème)",
    r"artículos relacionados|noticias relacionadas|deja (?:un comentario|una respuesta)|te puede interesar",
    r"articoli correlati|leggi anche|lascia un commento|potrebbe interessarti(?: anche)?",
    r"artigos relacionados|leia (?:também|mais)|deixe (?:um comentário|uma resposta)|você pode gostar.*",
    r"gerelateerde artikelen|lees ook|читайте также|похожие (?:статьи|записи)|добавить комментарий",
    r"相关文章|相关新闻|延伸阅读|関連記事|人気記事|관련 ?기사",
)
# How paragraphs about the site begin.
_NOTICES = (
    r"copyright\b|©|\(c\) \d{4}|all rights reserved",
    r"(?:this|our) (?:web)?site uses cookies|we use cookies",
    r"by (?:using|continuing to (?:use|browse)) (?:this|our) (?:web)?site",
    r"your e-?mail address will not be published|save my name, e-?mail|this site uses akismet",
    r"you must be logged in to|please enable javascript",
    r"(?:javascript|cookies) (?:is|are|must be|needs? to be) (?:disabled|enabled)",
    r"by (?:signing up|subscribing|clicking|submitting)|i agree to the|sign up (?:for|to) (?:our|the)\b",
)
_ENDING = re.compile("|".join(_ENDINGS), re.IGNORECASE)
_NOTICE = re.compile("|".join(_NOTICES), re.IGNORECASE)


def ends_text(line: str) -> bool:
    """Whether a line is the heading of what sites put after a text (comments, other articles, sharing)."""
    return len(line) <= MAX_HEADING_CHARS and _ENDING.fullmatch(line.strip(" :.!…»>›*-–—")) is not None


def is_notice(text: str) -> bool:
    """Whether a paragraph begins as a notice about the site (cookies, copyright, consent) does."""
    return len(text) <= MAX_NOTICE_CHARS and _NOTICE.match(text) is not None
