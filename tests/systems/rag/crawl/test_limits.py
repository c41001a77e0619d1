import pytest

from sixfold.errors import ConfigError
from sixfold.systems.rag.crawl.limits import CrawlLimits, Scope, seed_urls


@pytest.mark.parametrize(
    ("rules", "inside", "outside"),
    [
        (["example.org"], ["example.org", "www.example.org:8080"], ["badexample.org", "example.com"]),
        (["example.org:81"], ["example.org:81"], ["example.org", "example.org:82"]),
        (["127.0.0.0/8"], ["127.0.3.7:80", "127.0.0.2"], ["128.0.0.1", "localhost", "10.0.0.1"]),
        (["127.0.0.0/16:8000"], ["127.0.3.7:8000"], ["127.0.3.7:8001", "127.0.0.1", "127.1.0.1:8000"]),
        (["[::1]", "fe80::/10"], ["[::1]", "[::1]:80", "[fe80::7]"], ["[::2]"]),
        (
            ["*"],
            ["example.org", "8.8.8.8"],
            ["127.0.0.1", "10.1.2.3", "[::1]", "localhost", "169.254.169.254"],
        ),
        (["*", "127.0.0.1"], ["127.0.0.1", "a.example"], ["127.0.0.2"]),
    ],
)
def test_scope(rules, inside, outside):
    scope = Scope(rules)
    assert [host for host in inside if not scope.allows(host)] == []
    assert [host for host in outside if scope.allows(host)] == []


@pytest.mark.parametrize("rule", ["", "a b/c", "10.0.0.0/99", "[x]", "h:port"])
def test_bad_scope_is_named(rule):
    with pytest.raises(ConfigError, match="scope"):
        Scope([rule])


def test_without_a_scope_a_crawl_stays_on_its_seeds_hosts():
    limits = CrawlLimits().within(["http://a.example:81/x", "http://b.example/"])
    assert limits.scope == ("a.example", "b.example")
    assert CrawlLimits(scope=("*",)).within(["http://a/"]).scope == ("*",)


@pytest.mark.parametrize(
    ("change", "word"),
    [({"concurrency": 0}, "concurrency"), ({"delay_s": -1}, "delay_s"), ({"lease_s": 5, "timeout_s": 5}, "lease_s"),
     ({"max_depth": -1}, "max_depth"), ({"timeout_s": 0}, "timeout_s")],
)  # fmt: skip
def test_bad_bounds_are_named(change, word):
    with pytest.raises(ConfigError, match=word):
        CrawlLimits(**change)


def test_seeds():
    assert seed_urls(["http://A/", "http://a/#x"]) == ["http://a/"]
    with pytest.raises(ConfigError, match=r"'notes\.txt'"):
        seed_urls(["notes.txt"])
    with pytest.raises(ConfigError, match="no seed"):
        seed_urls([])
