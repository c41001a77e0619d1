"""Keys that sign: as text in files and rosters."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sixfold.errors import InputError

__all__ = ["key_text", "new_key", "private_key", "public_key", "public_key_told", "signed_by", "write_private"]


def key_text(key: Ed25519PrivateKey | Ed25519PublicKey) -> str:
    """The public half as 64 hexadecimal letters."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes_raw().hex()


def public_key(text: str) -> Ed25519PublicKey:
    """A public key from its text; InputError if it is none."""
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except (ValueError, TypeError):
        raise InputError("not a public key of 64 hexadecimal letters") from None


def public_key_told(told: str) -> Ed25519PublicKey:
    """A public key as somebody types it: its text, or the file that holds it; InputError if it is neither."""
    path = Path(told)
    try:
        text = path.read_text() if path.is_file() else told
    except (OSError, UnicodeDecodeError):
        raise InputError("cannot be read", path=path) from None
    try:
        return public_key(text.strip())
    except InputError as error:
        raise InputError(f"{error}, nor the file of one", path=path) from None


def new_key(path: Path) -> Ed25519PrivateKey:
    """Make a private key and write it where only its owner can read it."""
    key = Ed25519PrivateKey.generate()
    write_private(path, key.private_bytes_raw().hex().encode() + b"\n")
    return key


def private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key; InputError names the file, never what is in it."""
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text().strip()))
    except FileNotFoundError:
        raise InputError("no such file: provision this party first", path=path) from None
    except (OSError, ValueError):
        raise InputError("not a private key", path=path) from None


def signed_by(key: Ed25519PublicKey, signature: str, content: bytes) -> bool:
    """Whether this is the key's signature, in small hexadecimal letters, under the content.

    One signature has one text: capitals or spaces in it would be a change of a log that nobody finds.
    """
    try:
        raw = bytes.fromhex(signature)
        key.verify(raw, content)
    except (InvalidSignature, ValueError):
        return False
    return raw.hex() == signature


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read; FileExistsError if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
