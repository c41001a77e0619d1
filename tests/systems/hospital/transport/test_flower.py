import os
from dataclasses import replace
from pathlib import Path

import pytest
import transport_site
from transport_site import OPENER, kits

from sixfold.errors import ConfigError, PrerequisiteError
from sixfold.systems.hospital.transport.flower_coordinator import _opened, open_flower
from sixfold.systems.hospital.transport.flower_processes import HospitalProcesses, LinkProcesses
from sixfold.systems.hospital.transport.transport import Deadline

SITES = ("a", "b")
PATIENT = Deadline(deadline_s=60.0)


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    """A SuperLink and two hospitals, each of three processes; what the tests do to them comes in the order below."""
    home = tmp_path_factory.mktemp("flower")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(transport_site.__file__).parent))
        keys = kits(home / "kits", [*SITES, "stranger"])
        del keys["stranger"]
        with LinkProcesses(home / "kits/coordinator", home / "link", keys) as link:
            hospitals = {
                site: HospitalProcesses(home / "kits" / site, home / site, OPENER, home / site, link.door)
                for site in (*SITES, "stranger")
            }
            try:
                for hospital in hospitals.values():
                    hospital.start()
                yield link, hospitals, keys
            finally:
                for hospital in hospitals.values():
                    hospital.stop()


@pytest.fixture(scope="module")
def transport(federation):
    link, _, keys = federation
    with open_flower(link.link, keys) as opened:
        assert opened.wait_online(SITES, 60.0) == set(SITES)
        yield opened


def test_each_hospital_answers_its_own_request(transport):
    assert transport.exchange({"a": b"1", "b": b"2"}, PATIENT) == {"a": b"a:1", "b": b"b:2"}


def test_a_vector_of_a_million_numbers_passes_unchanged(transport):
    vector = os.urandom(8_000_000)
    assert transport.exchange({"a": vector, "b": b""}, PATIENT) == {"a": b"a:" + vector, "b": b"b:"}


def test_a_hospital_stays_up_after_a_refusal_and_after_a_bug(transport, federation):
    assert transport.exchange({"a": b"refuse", "b": b"break"}, PATIENT) == {}
    assert set(transport.silent) == set(SITES)
    assert "not for me" in (federation[1]["a"].folder / "site.log").read_text()
    assert "ZeroDivisionError" in (federation[1]["b"].folder / "site.log").read_text()
    assert transport.exchange({"a": b"1"}, PATIENT) == {"a": b"a:1"}


@pytest.mark.parametrize("made_up", [b"", b"no object", b"Message  3\x00{}}", b"ConfigRecord  0\x00"])
def test_what_a_hospital_makes_up_is_no_answer_and_does_not_end_the_coordinator(made_up):
    assert _opened("id", {"id": made_up}) == (None, False)


def test_a_late_answer_is_dropped(transport):
    quorum = Deadline(60.0, quorum=1, grace_s=0.0)
    assert transport.exchange({"a": b"sleep 3", "b": b"1"}, quorum) == {"b": b"b:1"}
    assert transport.exchange({"a": b"2"}, PATIENT) == {"a": b"a:2"}
    assert transport.late == 1


def test_the_process_stays_up_between_messages(transport):
    first, second = (transport.exchange({"a": b"pid"}, PATIENT)["a"] for _ in range(2))
    assert first == second


def test_a_killed_hospital_comes_back(transport, federation):
    hospital = federation[1]["a"]
    hospital.kill()
    assert transport.exchange({"a": b"1", "b": b"1"}, Deadline(60.0, quorum=1, grace_s=0.5)) == {"b": b"b:1"}
    hospital.start()
    assert transport.exchange({"a": b"2", "b": b"2"}, PATIENT) == {"a": b"a:2", "b": b"b:2"}


def test_a_hospital_that_is_away_is_asked_again_when_it_is_back(transport, federation):
    hospital = federation[1]["b"]
    hospital.stop()  # it says goodbye, so that the SuperLink knows
    assert transport.exchange({"b": b"1"}, Deadline(3.0)) == {}
    assert "not connected" in transport.silent["b"]
    hospital.start()
    assert transport.exchange({"b": b"2"}, PATIENT) == {"b": b"b:2"}


def test_a_superlink_that_is_killed_is_waited_for(transport, federation):
    federation[0].kill()
    with pytest.raises(PrerequisiteError, match="does not answer"):
        transport.exchange({"a": b"1"}, Deadline(1.5))
    federation[0].start()
    assert transport.exchange({"a": b"2", "b": b"2"}, PATIENT) == {"a": b"a:2", "b": b"b:2"}


def test_a_stranger_with_a_certificate_but_no_known_key_is_refused(transport, federation):
    stranger = federation[1]["stranger"]
    assert "Failed to activate SuperNode" in (stranger.folder / "supernode.log").read_text()
    with pytest.raises(ConfigError, match="no SuperNode is registered for stranger"):
        transport.exchange({"stranger": b"1"}, PATIENT)


def test_a_new_coordinator_takes_over_from_one_that_was_killed(transport, federation):
    link, _, keys = federation
    with open_flower(link.link, keys) as successor:
        assert successor.exchange({"a": b"1", "b": b"1"}, PATIENT) == {"a": b"a:1", "b": b"b:1"}
        with pytest.raises(PrerequisiteError, match="another coordinator took over"):
            transport.exchange({"a": b"1"}, PATIENT)


def test_without_the_executor_key_nobody_becomes_the_coordinator(federation, tmp_path):
    link, _, keys = federation
    stolen = replace(link.link, secret=tmp_path / "key")
    stolen.secret.write_bytes(b"0" * 32)
    with pytest.raises(PrerequisiteError, match="401"):
        open_flower(stolen, keys)
