import pytest

from sixfold.systems.rag.crawl.robots import RobotsPolicy

RULES = b"""\xef\xbb\xbfUser-agent: *
Disallow: /private/
Allow: /private/open.html
Crawl-delay: 1.5

User-agent: sixfold
Disallow: /only-us$
"""


def test_the_named_group_wins_over_the_star():
    ours, other = RobotsPolicy(200, RULES, "sixfold"), RobotsPolicy(200, RULES, "someone")
    assert ours.allowed("http://h/private/x")
    assert not ours.allowed("http://h/only-us")
    assert ours.allowed("http://h/only-us/more")
    assert not other.allowed("http://h/private/x")
    assert other.allowed("http://h/private/open.html")
    assert other.crawl_delay_s == 1.5
    assert ours.crawl_delay_s is None


@pytest.mark.parametrize(("status", "allowed"), [(404, True), (403, True), (410, True), (500, False), (None, False)])
def test_missing_means_allowed_and_unreachable_means_forbidden(status, allowed):
    policy = RobotsPolicy(status, b"User-agent: *\nAllow: /", "sixfold")
    assert policy.allowed("http://h/") is allowed
    assert policy.reachable is allowed


def test_junk_is_no_rule():
    policy = RobotsPolicy(200, bytes(range(256)) * 50, "sixfold")
    assert policy.allowed("http://h/")
