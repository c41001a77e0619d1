import pytest
import transport_site
from hypothesis import given
from hypothesis import strategies as st
from transport_site import OPENER, open_echo

from sixfold.errors import ConfigError
from sixfold.systems.hospital.transport.flower_site import from_record, open_site, to_record
from sixfold.systems.hospital.transport.ray_transport import RayTransport
from sixfold.systems.hospital.transport.transport import Deadline, InProcess, wait_more

SITES = ("a", "b", "c")
PATIENT = Deadline(deadline_s=60.0)


@pytest.fixture(scope="module", params=["in process", pytest.param("ray", marks=pytest.mark.ray)])
def transport(request, tmp_path_factory):
    home = tmp_path_factory.mktemp("sites")
    if request.param == "in process":
        yield InProcess({site: open_echo(home / site) for site in SITES})
    else:
        request.getfixturevalue("ray_lab")
        with ray_transport(home) as transport:
            yield transport


@pytest.fixture
def ray_sites(ray_lab, tmp_path):
    with ray_transport(tmp_path) as transport:
        yield transport


def ray_transport(home):
    import ray

    ray.cloudpickle.register_pickle_by_value(transport_site)  # Ray's workers do not see tests/support
    return RayTransport(open_echo, {site: home / site for site in SITES})


# What every transport promises (Flower's: test_flower.py)


def test_each_site_answers_its_own_request(transport):
    requests = {site: site.encode() * 3 for site in SITES}
    assert transport.exchange(requests, PATIENT) == {"a": b"a:aaa", "b": b"b:bbb", "c": b"c:ccc"}


def test_only_those_that_are_asked_answer(transport):
    assert transport.exchange({"b": b"1"}, PATIENT) == {"b": b"b:1"}
    assert transport.exchange({}, PATIENT) == {}


def test_any_bytes_pass_unchanged(transport):
    everything = bytes(range(256)) * 4096
    assert transport.exchange({"a": everything, "c": b""}, PATIENT) == {"a": b"a:" + everything, "c": b"c:"}


def test_a_site_that_refuses_has_not_answered_and_says_why(transport):
    assert transport.exchange({"a": b"refuse", "b": b"1"}, PATIENT) == {"b": b"b:1"}
    assert "not for me" in transport.silent["a"]


def test_a_bug_in_a_site_is_not_silence(transport):
    with pytest.raises(ZeroDivisionError):
        transport.exchange({"a": b"break"}, PATIENT)


# What only processes of their own can do


@pytest.mark.ray
def test_a_slow_site_is_left_out_and_its_answer_is_dropped(ray_sites):
    assert ray_sites.exchange({"a": b"sleep 1", "b": b"1"}, Deadline(0.5)).keys() == {"b"}
    assert ray_sites.late == 0
    assert ray_sites.exchange(dict.fromkeys(SITES, b"2"), PATIENT) == {"a": b"a:2", "b": b"b:2", "c": b"c:2"}
    ray_sites.exchange({"b": b"3"}, PATIENT)
    assert ray_sites.late == 1


@pytest.mark.ray
def test_a_quorum_ends_an_exchange_after_its_grace(ray_sites):
    quorum = Deadline(deadline_s=120.0, quorum=2, grace_s=0.0)
    # had it waited for the one that is not needed, that one would have answered too
    assert ray_sites.exchange({"a": b"sleep 20", "b": b"1", "c": b"1"}, quorum).keys() == {"b", "c"}


@pytest.mark.ray
def test_a_site_that_died_comes_back_from_its_folder(ray_sites):
    assert ray_sites.exchange({"a": b"die", "b": b"1"}, PATIENT) == {"b": b"b:1"}
    assert "gone" in ray_sites.silent["a"]
    ray_sites.restart("a")
    assert ray_sites.exchange({"a": b"1"}, PATIENT) == {"a": b"a:1"}


@pytest.mark.ray
def test_an_unknown_site_is_named(ray_sites):
    with pytest.raises(ConfigError, match="there is no site d"):
        ray_sites.exchange({"d": b"1"}, PATIENT)


# When waiting ends


@pytest.mark.parametrize(
    ("asked", "answered_s", "now_s", "deadline", "wait_s"),
    [
        (3, {}, 0.0, Deadline(10), 10.0),
        (3, {"a": 1.0}, 4.0, Deadline(10), 6.0),
        (3, {"a": 1.0, "b": 2.0, "c": 3.0}, 3.0, Deadline(10), 0.0),
        (3, {"a": 1.0, "b": 2.0}, 3.0, Deadline(10, quorum=2, grace_s=4), 3.0),
        (3, {"b": 2.0, "a": 1.0}, 7.0, Deadline(10, quorum=2, grace_s=4), 0.0),
        (3, {"a": 1.0}, 7.0, Deadline(10, quorum=2, grace_s=4), 3.0),
        (3, {"a": 1.0, "b": 9.0}, 9.0, Deadline(10, quorum=2, grace_s=4), 1.0),
        (3, {}, 11.0, Deadline(10), 0.0),
        (0, {}, 0.0, Deadline(10), 0.0),
    ],
)
def test_one_policy_says_how_long_to_wait(asked, answered_s, now_s, deadline, wait_s):
    assert wait_more(asked, answered_s, now_s, deadline) == wait_s


@given(
    st.lists(st.floats(0, 100), max_size=6),
    st.floats(0, 100),
    st.builds(Deadline, st.floats(0.1, 100), st.none() | st.integers(1, 8), st.floats(0, 100)),
)
def test_waiting_never_outlasts_the_deadline_and_never_starts_again(times, later_s, deadline):
    answered_s = {str(at): when for at, when in enumerate(times)}
    now_s = max(times, default=0.0)
    wait_s = wait_more(6, answered_s, now_s, deadline)
    assert 0 <= wait_s <= max(0.0, deadline.deadline_s - now_s)
    assert wait_more(6, answered_s, now_s + later_s, deadline) <= wait_s


@pytest.mark.parametrize("wrong", [{"deadline_s": 0.0}, {"grace_s": -1.0}, {"quorum": 0}, {"deadline_s": float("nan")}])
def test_a_deadline_that_means_nothing_is_refused(wrong):
    with pytest.raises(ConfigError, match="expected a deadline above 0"):
        Deadline(**wrong)


# What carries bytes through Flower, and what a site is opened with


@given(st.binary(max_size=300))
def test_bytes_survive_flowers_records(payload):
    assert from_record(to_record(payload)) == payload


def test_long_bytes_do_too_and_are_sent_in_pieces():
    payload = bytes(3 << 20)
    record = to_record(payload)
    assert not record.config_records
    assert from_record(record) == payload


def test_a_record_of_somebody_else_is_refused():
    from flwr.app import ConfigRecord, RecordDict

    with pytest.raises(ConfigError, match="expected one of this federation"):
        from_record(RecordDict({"another": ConfigRecord({"bytes": b"1"})}))
    with pytest.raises(ConfigError, match="with str, expected bytes"):
        from_record(RecordDict({"payload": ConfigRecord({"bytes": "1"})}))


@pytest.mark.parametrize("opener", ["nowhere:open", "transport_site:nothing", "transport_site", ""])
def test_an_opener_that_is_not_there_is_named(opener, tmp_path):
    with pytest.raises(ConfigError, match=r"expected package\.module:function"):
        open_site(opener, tmp_path)


def test_a_site_is_opened_with_its_folder(tmp_path):
    assert open_site(OPENER, tmp_path / "x")(b"1") == b"x:1"
