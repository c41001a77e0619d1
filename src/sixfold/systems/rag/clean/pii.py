"""Replacing what identifies a person: e-mail and public IP addresses, phone, card and bank account numbers.

Every pattern is bounded and free of nested repetition, so the time is linear in the text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

__all__ = ["scrub"]

LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
EMAIL = re.compile(
    rf"(?<![\w.+-]){LOCAL}[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{0,63}}@"
    r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
)
# The first character stands before the look-behind, so that the search skips to where a match can begin.
IPV4 = re.compile(r"\d(?<![\w.]\d)\d{0,2}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\.?\w)")
IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{6,39}(?![\w:])")
CARD = re.compile(r"\d(?<![\w.-]\d)(?<!\d \d)(?:[ -]?\d){14,15}(?! ?\d)(?![\w-])")
# Country, check digits, then groups as banks print them or one run.
IBAN = re.compile(r"[A-Z](?<!\w[A-Z])[A-Z]\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
# With a plus sign and a country, or as North America writes it: other digit groups are too often not phones.
PHONE_WORLD = re.compile(r"(?<![\w+])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}(?![\w-])")
PHONE_AMERICA = re.compile(r"[1-9](?<![\w.+-][1-9])(?:(?<=1)[-.][2-9]|(?<=[2-9]))\d{2}[-.][2-9]\d{2}[-.]\d{4}(?![\w-])")
PHONE_AMERICA_BRACKETS = re.compile(r"\([2-9]\d{2}\) ?[2-9]\d{2}[-.]\d{4}(?![\w-])")


def scrub(text: str) -> str:
    """The text with `[EMAIL]`, `[IP]`, `[CARD]`, `[IBAN]` and `[PHONE]` in the place of what it found.

    Private, loopback and documentation addresses stay; card numbers must pass Luhn's check (ISO/IEC 7812-1)
    and bank accounts theirs (ISO 13616).
    """
    if "@" in text:
        text = EMAIL.sub("[EMAIL]", text)
    text = IPV4.sub(_if(_is_public, "[IP]"), text)
    if "::" in text or text.count(":") >= 7:
        text = IPV6.sub(_if(_is_public, "[IP]"), text)
    text = IBAN.sub(_if(_is_iban, "[IBAN]"), text)
    text = CARD.sub(_if(_is_card, "[CARD]"), text)
    if "+" in text:
        text = PHONE_WORLD.sub(_if(_is_phone, "[PHONE]"), text)
    return PHONE_AMERICA.sub("[PHONE]", PHONE_AMERICA_BRACKETS.sub("[PHONE]", text))


def _if(test: Callable[[str], bool], placeholder: str) -> Callable[[re.Match[str]], str]:
    return lambda match: placeholder if test(match[0]) else match[0]


def _is_public(written: str) -> bool:
    try:
        return ipaddress.ip_address(written).is_global
    except ValueError:
        return False


def _is_card(written: str) -> bool:
    digits = [int(c) for c in written if c.isdigit()]
    # The lengths and first digits of the large networks: longer runs are too often something else.
    if (len(digits), digits[0]) not in {(15, 3), (16, 2), (16, 4), (16, 5), (16, 6)} or len(set(digits)) == 1:
        return False
    doubled = (sum(divmod(2 * d, 10)) for d in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(written: str) -> bool:
    code = written.replace(" ", "")
    if not 15 <= len(code) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in code[4:] + code[:4])) % 97 == 1


def _is_phone(written: str) -> bool:
    return 8 <= sum(map(str.isdigit, written)) <= 15  # E.164
