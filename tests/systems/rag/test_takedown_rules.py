"""What a rule names, and the list that crawls, builds and writers look at."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.systems.rag.takedown_rules import Blocklist, Rule, build_blocklist, index_blocklist

MATCHES = [
    ({"url": "http://Example.org:80/a/../b#part"}, "http://example.org/b", True),
    ({"url": "http://example.org/b"}, "HTTP://EXAMPLE.ORG/./b", True),
    ({"url": "http://example.org/b"}, "https://example.org/b", False),
    ({"url": "http://example.org/b"}, "http://example.org/b?q=1", False),
    ({"url": "file:///data/page.html"}, "file:///data/page.html", True),
    ({"host": "example.org"}, "http://example.org/x", True),
    ({"host": "Example.org."}, "https://example.org:8443/x", True),
    ({"host": "example.org"}, "http://www.example.org/x", False),
    ({"host": "example.org", "subdomains": True}, "http://a.b.example.org/x", True),
    ({"host": "example.org", "subdomains": True}, "http://notexample.org/x", False),
    ({"host": "example.org:8080"}, "http://example.org:8080/x", True),
    ({"host": "example.org:8080"}, "http://example.org/x", False),
    ({"host": "example.org:80"}, "http://example.org/x", True),
    ({"host": "bücher.example"}, "http://xn--bcher-kva.example/", True),
    ({"host": "[::1]:80"}, "http://[::1]/x", True),
    ({"host": "127.0.0.2"}, "http://127.0.0.2:8700/", True),
    ({"pattern": "http://example.org/private/*"}, "http://example.org/private/x/y", True),
    ({"pattern": "http://example.org/private/*"}, "http://example.org/private", False),
    ({"pattern": "*/users/*/photo?"}, "http://example.org/users/7/photo?", True),
    ({"pattern": "*/users/*/photo?"}, "http://example.org/users/7/photos", False),
    ({"pattern": "*.pdf"}, "http://example.org/[a].pdf", True),
    ({"pattern": "*ab*ab"}, "http://x/ab", False),
]


@pytest.mark.parametrize(("rule", "url", "named"), MATCHES)
def test_what_a_rule_names(rule, url, named, tmp_path):
    assert Rule.of(**rule).matches(url) is named
    blocklist = Blocklist(tmp_path / "list.jsonl")
    assert not blocklist
    blocklist.add(Rule.of(url="http://other.example/"))
    blocklist.add(Rule.of(**rule))
    assert (blocklist.rule_for(url) is not None) is named


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"url": "http://x/", "host": "x"},
        {"url": "http://x/", "subdomains": True},
        {"host": "x/y"},
        {"host": "x y"},
        {"host": "http://x/"},
        {"pattern": "**"},
        {"pattern": "*a" * 17},
        {"pattern": "http://x/\n"},
        {"url": "http://x/" + "a" * 2_048},
        {"url": "http://x/", "reason": "r" * 3_000},
    ],
)
def test_what_is_no_rule_is_refused(rule):
    with pytest.raises(ConfigError):
        Rule.of(**rule)


@given(st.text("ab*/", min_size=1, max_size=12), st.text("ab/", max_size=20))
def test_a_pattern_means_what_the_regular_expression_would(pattern, rest):
    if not pattern.strip("*"):
        return
    url = f"http://x/{rest}".replace("//", "/").replace(":/", "://")
    wanted = ".*".join(map(re.escape, pattern.split("*")))
    assert Rule.of(pattern=pattern).matches(url) is (re.fullmatch(wanted, url) is not None)


def test_a_hostile_pattern_costs_no_more_than_the_length_of_the_url():
    rule = Rule.of(pattern="*a" * 15 + "*b")
    began_s = time.process_time()
    for _ in range(100):
        assert not rule.matches("http://x/" + "a" * 2_000)
    assert time.process_time() - began_s < 5  # by backtracking it would take longer than the universe is old


def test_a_list_is_shared_by_processes_and_keeps_a_rule_once(tmp_path):
    path = index_blocklist(tmp_path)
    reader = Blocklist(path)
    Blocklist(path).add(Rule.of(url="http://x/a"))
    assert reader.rule_for("http://x/a") is None
    assert reader.refresh()
    assert not reader.refresh()
    assert reader.rule_for("http://x/a") is not None
    Blocklist(path).add(Rule.of(url="http://x/./a", reason="again"))
    assert len(path.read_bytes().splitlines()) == 1
    with path.open("ab") as file:
        file.write(b'{"kind":"url"}\n')
    with pytest.raises(InputError, match="not a rule"):
        reader.refresh()


def test_only_builds_of_an_index_have_a_list(tmp_path):
    assert build_blocklist(tmp_path / "index" / "builds" / "0001") == index_blocklist(tmp_path / "index")
    assert build_blocklist(tmp_path / "rehearsal") is None
    assert not Blocklist(None)
