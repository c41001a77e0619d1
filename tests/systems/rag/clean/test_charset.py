"""Encodings: a table of labels, right and wrong, over real sentences."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.systems.rag.clean.charset import decode

GERMAN = "Größe und Übermaß: für Straßen gilt die Länge, so heißt es später. " * 3
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 3
JAPANESE = "日本語の文章を正しく読むことができるかどうかを確かめるための例文です。" * 3
KOREAN = "다람쥐 헌 쳇바퀴에 타고파. 한국어 문장을 올바르게 읽어야 합니다. " * 3
CHINESE = "中文文本应该被正确地解码,不论它的标签是什么。这是一个例子。" * 3
ENGLISH = "Plain words in plain English, nothing to see. "


@pytest.mark.parametrize(
    ("text", "encoding", "declared", "found_by"),
    [
        (GERMAN, "utf-8", "utf-8", "utf-8"),
        (GERMAN, "cp1252", "iso-8859-1", "declared"),
        (GERMAN, "cp1252", "ISO-8859-15", "declared"),
        (RUSSIAN, "koi8-r", "KOI8-R", "declared"),
        (RUSSIAN, "cp1251", "windows-1251", "declared"),
        (JAPANESE, "shift_jis", "x-sjis", "declared"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp", "declared"),
        (JAPANESE, "euc_jp", "euc-jp", "declared"),
        (CHINESE, "gb2312", "gb2312", "declared"),
        (KOREAN, "euc_kr", "euc-kr", "declared"),
        (ENGLISH, "ascii", None, "utf-8"),
        (ENGLISH, "ascii", "bogus-9", "utf-8"),
        # wrong labels
        (GERMAN, "utf-8", "iso-8859-1", "utf-8"),
        (RUSSIAN, "utf-8", "windows-1251", "utf-8"),
        (GERMAN, "cp1252", "utf-8", "detected"),
        (RUSSIAN, "cp1251", "utf-8", "detected"),
        (RUSSIAN, "cp1251", "iso-8859-1", "detected"),
        (JAPANESE, "shift_jis", "utf-8", "detected"),
        (JAPANESE, "euc_jp", None, "detected"),
        (KOREAN, "euc_kr", None, "detected"),
        # byte order marks beat labels
        (GERMAN, "utf-8-sig", "iso-8859-1", "mark"),
        (RUSSIAN, "utf-16", "windows-1251", "mark"),
        (RUSSIAN, "utf-32", None, "mark"),
        (GERMAN, "utf-16-le", "utf-16le", "declared"),
    ],
)
def test_label_table(text, encoding, declared, found_by):
    got = decode(text.encode(encoding), declared)
    assert (got.text, got.found_by, got.n_replaced) == (text, found_by, 0)


@pytest.mark.parametrize(
    ("head", "encoding", "found_by"),
    [
        ('<meta charset="windows-1251">', "cp1251", "meta"),
        ("<META http-equiv=Content-Type content='text/html; charset=koi8-r'>", "koi8-r", "meta"),
        ('<?xml version="1.0" encoding="windows-1251"?>', "cp1251", "meta"),
        ('<meta charset="utf-16">', "utf-8", "utf-8"),
        ('<meta charset="utf-8">', "cp1251", "detected"),
    ],
)
def test_meta_labels(head, encoding, found_by):
    got = decode((head + RUSSIAN).encode(encoding))
    assert (got.text, got.found_by) == (head + RUSSIAN, found_by)


def test_a_meta_label_of_another_charset_yields_to_http():
    assert decode(f'<meta charset="koi8-r">{RUSSIAN}'.encode("cp1251"), "cp1251").text.endswith(RUSSIAN)


def test_damaged_utf8_stays_utf8():
    payload = RUSSIAN.encode()[:-3] + b"\xd0"
    got = decode(payload, None)
    assert got.encoding == "utf-8"
    assert got.text.startswith(RUSSIAN[:100])
    assert got.n_replaced >= 1


@given(
    payload=st.binary(max_size=3_000),
    declared=st.sampled_from([None, "utf-8", "utf-16", "gbk", "x", "idna", "hex"]),
)
def test_any_bytes_decode(payload, declared):
    got = decode(payload, declared)
    codecs.lookup(got.encoding)
    got.text.encode("utf-8")
