"""Promises of startup kits: they load as they were made, and nothing that was changed or belongs to others does."""

import datetime
import json
import shutil
import ssl
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sixfold.errors import ConfigError, InputError
from sixfold.files import json_text
from sixfold.systems.hospital.cli import app
from sixfold.systems.hospital.keys import private_key
from sixfold.systems.hospital.provision import COORDINATOR, load_kit, provision, read_roster
from sixfold.systems.hospital.transport.mutual_tls import tls_context

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kits")
    provision(folder, ["north", "south"], ["127.0.0.1", "localhost"], NOW)
    return folder


def test_every_party_knows_everybody_and_only_its_own_key(kits: Path) -> None:
    loaded = [load_kit(kits / name, name) for name in (COORDINATOR, "north", "south")]
    assert {tuple(sorted(kit.roster)) for kit in loaded} == {("coordinator", "north", "south")}
    for kit in loaded:
        kit.roster[kit.name].verify(kit.signing_key.sign(b"x"), b"x")


def test_private_files_are_for_their_owner_only(kits: Path) -> None:
    private = list(kits.rglob("*.key"))
    assert len(private) == 2 + 3 * 2 + 2
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in private)


def test_kits_are_not_overwritten_and_names_are_checked(kits: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not overwritten"):
        provision(kits, ["north"], ["localhost"], NOW)
    for names in (["North"], ["../south"], [""], ["a", "a"], [], ["coordinator"]):
        with pytest.raises(ConfigError):
            provision(tmp_path / "new", names, ["localhost"], NOW)


def test_no_site_is_given_the_keys_of_the_founder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the founder's keys"):
        provision(tmp_path / "new", ["north", "founder"], ["localhost"], NOW)
    provision(tmp_path / "kits", ["north", "founders"], ["localhost"], NOW)
    secret = {path.name for path in (tmp_path / "kits" / "founder").iterdir()}
    assert secret == {"ca.key", "founder.key", "founder.pub"}
    for name in (COORDINATOR, "north", "founders"):
        assert not secret & {path.name for path in (tmp_path / "kits" / name).iterdir()}


@pytest.mark.parametrize(
    ("hosts", "days", "why"),
    [
        ([""], 365, "host ''"),
        (["localhost", "k\u00f6ln.example"], 365, "ASCII"),
        (["localhost"], 0, "for 0 days"),
        (["localhost"], 10**7, "for 10000000 days"),
    ],
)
def test_what_no_certificate_can_hold_is_refused_before_anything_is_written(
    tmp_path: Path, hosts: list[str], days: int, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        provision(tmp_path / "new", ["north"], hosts, NOW, days)
    assert not (tmp_path / "new").exists()


def test_a_roster_with_another_key_or_another_founder_is_refused(kits: Path, tmp_path: Path) -> None:
    kit = tmp_path / "north"
    kit.mkdir()
    (kit / "signing.key").write_bytes((kits / "north" / "signing.key").read_bytes())
    roster = json.loads((kits / "north" / "roster.json").read_text())
    for change, why in (
        ({"parties": {**roster["parties"], "south": roster["parties"]["north"]}}, "did not sign"),
        ({"founder": roster["parties"]["south"]}, "did not sign"),
        ({"signature": "zz"}, "did not sign"),
        ({"expires": (NOW + datetime.timedelta(days=3650)).isoformat()}, "did not sign"),
        ({"parties": 3}, "not a roster"),
        ({"expires": None}, "not a roster"),
    ):
        (kit / "roster.json").write_text(json.dumps({**roster, **change}))
        with pytest.raises(InputError, match=why):
            load_kit(kit, "north")
    (kit / "roster.json").write_text(json.dumps(roster))
    with pytest.raises(InputError, match="another key of south"):
        load_kit(kit, "south")
    with pytest.raises(InputError, match="did not sign"):
        load_kit(kit, "north", founder=roster["parties"]["south"])
    with pytest.raises(InputError, match=r"signing\.key: no such file"):
        load_kit(tmp_path / "nobody", "north")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("signing.key", None),
        ("signing.key", "zz"),
        ("signing.key", "ab" * 31),
        ("signing.key", "\u00e9"),
        ("roster.json", None),
        ("roster.json", "{"),
        ("roster.json", "[]"),
        ("tls.crt", None),
        ("tls.crt", "zz"),
        ("ca.crt", None),
        ("ca.crt", "\u00e9"),
        ("roster.json", '{"parties": {}, "expires": "", "founder": "zz", "signature": ""}'),
        (
            "roster.json",
            '{"parties": {"north": "\\ud800"}, "expires": "", "founder": "%s", "signature": ""}' % ("ab" * 32),
        ),
    ],
)
def test_a_missing_or_broken_file_is_named(kits: Path, tmp_path: Path, file: str, text: str | None) -> None:
    kit = Path(shutil.copytree(kits / "north", tmp_path / "north"))
    (kit / file).unlink()
    if text is not None:
        (kit / file).write_text(text)
    with pytest.raises(InputError) as caught:
        load_kit(kit, "north")
    assert caught.value.path == kit / file
    assert text is None or len(text) < 60 or text not in str(caught.value)  # what may be a key is not shown


def loaded(kit: Path, caplog: pytest.LogCaptureFixture, **after: float) -> list[str]:
    """Load north's kit so long after it was made; what was said."""
    caplog.clear()
    load_kit(kit, "north", now=NOW + datetime.timedelta(**after))
    return [record.getMessage() for record in caplog.records]


def test_a_kit_says_once_that_it_will_expire_and_is_refused_when_it_has(
    kits: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kit = kits / "north"
    assert loaded(kit, caplog, minutes=-4) == loaded(kit, caplog) == loaded(kit, caplog, days=350.9) == []
    for days, left in ((351.5, 13), (360.5, 4), (364.9, 0)):
        (line,) = loaded(kit, caplog, days=days)
        assert f"{NOW + datetime.timedelta(days=365):%Y-%m-%d}, in {left} days: ask the founder" in line
    for days in (365, 400):
        with pytest.raises(InputError, match="expired on") as caught:
            loaded(kit, caplog, days=days)
        assert caught.value.path is not None
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"tls\.crt: not valid before .* UTC: is the clock"):
        loaded(kit, caplog, days=-1)


@pytest.mark.parametrize("file", ["tls.crt", "ca.crt", "roster.json"])
def test_whichever_expires_first_is_named(
    kits: Path, tmp_path: Path, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The kit of a party in a federation of a year, with one file of thirty days."""
    kit = Path(shutil.copytree(kits / "north", tmp_path / "north"))
    provision(tmp_path / "short", ["north", "south"], ["localhost"], NOW, valid_days=30)
    if file == "roster.json":  # as the founder of the year signs it
        founder = private_key(kits / "founder" / "founder.key")
        roster = json.loads((kit / file).read_text())
        roster["expires"] = (NOW + datetime.timedelta(days=30)).isoformat()
        signed = json_text({"parties": roster["parties"], "expires": roster["expires"]}).encode()
        roster["signature"] = founder.sign(b"sixfold roster 1\n" + signed).hex()
        (kit / file).write_text(json.dumps(roster))
    else:
        shutil.copy(tmp_path / "short" / "north" / file, kit / file)
    assert loaded(kit, caplog, days=15.9) == []
    (line,) = loaded(kit, caplog, days=20.5)
    assert line.startswith(f"{kit / file}: it expires on")
    assert "in 9 days" in line
    with pytest.raises(InputError, match="expired on") as caught:
        loaded(kit, caplog, days=30)
    assert caught.value.path == kit / file
    assert read_roster(kit / "roster.json").parties.keys() == {"coordinator", "north", "south"}  # logs are older


def test_a_key_that_is_another_partys_is_refused(kits: Path, tmp_path: Path) -> None:
    kit = Path(shutil.copytree(kits / "north", tmp_path / "north"))
    shutil.copy(kits / "south" / "signing.key", kit / "signing.key")
    with pytest.raises(InputError, match="another key of north"):
        load_kit(kit, "north")


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """A TLS handshake in memory; raises what either side objects to."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (near, far):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_certificates_of_one_federation_trust_each_other_and_no_other(kits: Path, tmp_path: Path) -> None:
    server = tls_context(kits / COORDINATOR, server=True)
    handshake(tls_context(kits / "north", server=False), server)
    provision(tmp_path / "others", ["north"], ["localhost"], NOW)
    with pytest.raises(ssl.SSLError):
        handshake(tls_context(tmp_path / "others" / "north", server=False), server)
    nobody = ssl.create_default_context(cafile=str(kits / COORDINATOR / "ca.crt"))
    with pytest.raises(ssl.SSLError):
        handshake(nobody, server)


def test_the_command_makes_kits_and_refuses_a_second_time(tmp_path: Path) -> None:
    arguments = ["provision", str(tmp_path / "kits"), "--sites", "north, south"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert load_kit(tmp_path / "kits" / "south", "south").name == "south"
    roster = json.loads((tmp_path / "kits" / "south" / "roster.json").read_text())
    assert (tmp_path / "kits" / "founder" / "founder.pub").read_text().strip() == roster["founder"]
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, ConfigError)
