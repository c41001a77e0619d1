"""Startup kits: what each party of a federation is handed before it can speak, made once by whoever founds it."""

from __future__ import annotations

import datetime
import ipaddress
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sixfold.errors import ConfigError, InputError
from sixfold.files import json_text, read_json, replace_json
from sixfold.systems.hospital.keys import key_text, new_key, private_key, public_key, signed_by, write_private

__all__ = ["COORDINATOR", "Kit", "Roster", "load_kit", "provision", "read_roster"]

COORDINATOR = "coordinator"
_NAME_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"
_KEY, _ROSTER = "signing.key", "roster.json"
_FOUNDER = "founder"  # the folder of the keys that can add a party: no party may be called so
_MOST_DAYS = 3650
_SOON = datetime.timedelta(days=14)
_log = logging.getLogger("sixfold.hospital")


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody's public keys, until when they count, and the founder whose signature says so."""

    parties: Mapping[str, Ed25519PublicKey]
    expires: datetime.datetime
    founder: Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Kit:
    """Who a party is, its key, and the keys of all others."""

    name: str
    signing_key: Ed25519PrivateKey
    roster: Mapping[str, Ed25519PublicKey]


def provision(
    folder: Path, sites: Sequence[str], hosts: Sequence[str], now: datetime.datetime, valid_days: int = 365
) -> None:
    """Make a kit for the coordinator and for each site, in a folder of its name; and the founder's own keys.

    In a kit: signing.key (Ed25519), roster.json (everybody's public keys, signed by the founder), tls.key and tls.crt
    (P-256, for mutual TLS), ca.crt, and for a site node.key and node.pub, with which Flower's SuperNode authenticates
    (P-384). The founder's folder holds the keys that can add a party: keep it away from all of them, but for
    founder.pub, by which anybody can tell a roster of this founder. Before anything is written, raises ConfigError for
    names, hosts and days that are not usable and for a folder that has kits already.
    """
    names = [COORDINATOR, *sites]
    for name in names:
        if not name or len(name) > 40 or set(name) - set(_NAME_LETTERS):
            raise ConfigError(f"got the name {name!r}, expected small letters, digits and hyphens, at most 40")
    if _FOUNDER in names:
        raise ConfigError(f"no site can be called {_FOUNDER}: its kit would hold the founder's keys")
    if len(set(names)) != len(names) or len(names) < 2:
        raise ConfigError("expected at least one site, and every name once")
    if not 1 <= valid_days <= _MOST_DAYS:
        raise ConfigError(f"got certificates for {valid_days} days, expected 1 to {_MOST_DAYS}")
    for host in hosts:
        _host(host)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty: kits are not overwritten, their keys may be in use")
    founder = new_key(folder / _FOUNDER / "founder.key")
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("sixfold federation", ca_key, None, ca_key, now, valid_days, [])
    write_private(folder / _FOUNDER / "ca.key", _pem(ca_key))
    (folder / _FOUNDER / "founder.pub").write_text(f"{key_text(founder)}\n")
    keys = {name: new_key(folder / name / _KEY) for name in names}
    parties = {name: key_text(key) for name, key in keys.items()}
    expires = (now + datetime.timedelta(days=valid_days)).isoformat()
    roster = {
        "parties": parties,
        "expires": expires,
        "founder": key_text(founder),
        "signature": founder.sign(_signed(parties, expires)).hex(),
    }
    for name in names:
        kit = folder / name
        replace_json(kit / _ROSTER, roster)
        tls_key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, tls_key, ca, ca_key, now, valid_days, hosts if name == COORDINATOR else [])
        write_private(kit / "tls.key", _pem(tls_key))
        (kit / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (kit / "ca.crt").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        if name != COORDINATOR:
            node_key = ec.generate_private_key(ec.SECP384R1())
            write_private(kit / "node.key", _pem(node_key, serialization.PrivateFormat.OpenSSH))
            (kit / "node.pub").write_bytes(
                node_key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
            )


def load_kit(folder: Path, name: str, founder: str | None = None, now: datetime.datetime | None = None) -> Kit:
    """Read a party's kit, of which it writes a line to the log "sixfold.hospital" when it expires within two weeks.

    founder: the public key that has to have signed the roster; that in the kit unless told. Raises InputError for a
    missing or broken file, a roster that was changed, a key that is not the party's, and what is not yet or no longer
    valid.
    """
    key, path = private_key(folder / _KEY), folder / _ROSTER
    roster = read_roster(path, founder)
    if name not in roster.parties or key_text(roster.parties[name]) != key_text(key):
        raise InputError(f"the roster knows another key of {name}, or none", path=path)
    _check_dates(folder, roster, now or datetime.datetime.now(datetime.UTC))
    return Kit(name, key, roster.parties)


def read_roster(path: Path, founder: str | None = None) -> Roster:
    """A roster, expired or not. Raises InputError when the founder did not sign it, or not so."""
    record: Any = read_json(path)
    match record:
        case {"parties": dict(parties), "expires": str(expires), "founder": str(founded), "signature": str(signature)}:
            pass
        case _:
            raise InputError("not a roster", path=path)
    try:
        key = public_key(founder or founded)
        if not signed_by(key, signature, _signed(parties, expires)):
            raise InputError("the founder did not sign this roster", path=path)
        return Roster(
            {party: public_key(text) for party, text in parties.items()}, datetime.datetime.fromisoformat(expires), key
        )
    except ValueError:  # also of letters that are not Unicode
        raise InputError("not a roster", path=path) from None
    except InputError as error:
        raise error if error.path else InputError(f"the founder's or a party's key: {error}", path=path) from None


def _signed(parties: Mapping[str, Any], expires: str) -> bytes:
    """What the founder signs."""
    return b"sixfold roster 1\n" + json_text({"parties": parties, "expires": expires}).encode()


def _check_dates(folder: Path, roster: Roster, now: datetime.datetime) -> None:
    """Raise InputError for what is not valid now; warn once, of what expires first."""
    expires = {folder / _ROSTER: roster.expires}
    for path in (folder / "tls.crt", folder / "ca.crt"):
        certificate = _read_certificate(path)
        expires[path] = certificate.not_valid_after_utc
        if now < certificate.not_valid_before_utc:
            since = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            raise InputError(f"not valid before {since}: is the clock of this machine right?", path=path)
    path = min(expires, key=expires.__getitem__)
    left = expires[path] - now
    if left <= datetime.timedelta(0):
        raise InputError(f"it expired on {expires[path]:%Y-%m-%d}: ask the founder for a new one", path=path)
    if left <= _SOON:
        _log.warning("%s: it expires on %s, in %d days: ask the founder for a new one",
                     path, f"{expires[path]:%Y-%m-%d}", left.days)  # fmt: skip


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except (OSError, ValueError):
        raise InputError("not a certificate", path=path) from None


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    valid_days: int,
    hosts: Sequence[str],
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [_host(host) for host in hosts] or [x509.DNSName(name.replace(" ", "-"))]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))  # clocks of other machines
        .not_valid_after(now + datetime.timedelta(days=valid_days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=0 if issuer is None else None), True)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
    )
    if issuer is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), False)
    return builder.sign(issuer_key, hashes.SHA256())


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not host or not host.isascii():
            raise ConfigError(f"got the host {host!r}, expected an address or a name in ASCII letters") from None
        return x509.DNSName(host)


def _pem(
    key: ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8
) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
