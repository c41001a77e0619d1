"""A site that tests of transports open from a folder, as they would a hospital, and kits to start it with."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sixfold.errors import InputError
from sixfold.systems.hospital.provision import provision

OPENER = "transport_site:open_echo"


def open_echo(folder: Path) -> Callable[[bytes], bytes]:
    """Answers with its folder's name before the request; "sleep S", "refuse", "break", "die" and "pid" do just that."""

    def handle(request: bytes) -> bytes:
        word, _, more = request[:40].partition(b" ")
        if word == b"sleep":
            time.sleep(float(more))
        if word == b"refuse":
            raise InputError("this is not for me")
        if word == b"break":
            raise ZeroDivisionError("a bug")
        if word == b"die":
            os._exit(1)
        if word == b"pid":
            return str(os.getpid()).encode()
        return folder.name.encode() + b":" + request

    return handle


def kits(folder: Path, sites: Sequence[str]) -> dict[str, bytes]:
    """Throwaway kits in `folder`; the public keys of the sites' SuperNodes."""
    provision(folder, sites, ["127.0.0.1"], datetime.datetime.now(datetime.UTC))
    keys = {}
    for site in sites:
        key = ec.generate_private_key(ec.SECP384R1())
        (folder / site / "node.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            )
        )
        keys[site] = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return keys
