"""Length-prefixed frames between a killable cleaner and its child, and what they say.

What the child sends is JSON: it has parsed hostile pages, so nothing of it is unpickled.
"""

from __future__ import annotations

import json
import socket
import struct
import time

from sixfold.systems.rag.records import Document, Dropped, Kind, RawRecord, Source, document_id

__all__ = ["Frames", "decode_reply", "decode_request", "encode_reply", "encode_request"]

LENGTH = struct.Struct("<I")
MAX_FRAME_BYTES = 1 << 30
NOWHERE = Source("", 0, "")


class Frames:
    """Frames over a stream socket; `until_s` is on the monotonic clock, None waits for ever."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream

    def send(self, body: bytes, until_s: float | None = None) -> None:
        """Raises TimeoutError; BrokenPipeError if the other side is gone."""
        self._limit(until_s)
        self.stream.sendall(LENGTH.pack(len(body)) + body)

    def receive(self, until_s: float | None = None) -> bytes | None:
        """The next frame; None if the other side is gone. Raises TimeoutError."""
        head = self._exactly(LENGTH.size, until_s)
        if head is None:
            return None
        size: int = LENGTH.unpack(head)[0]
        return self._exactly(size, until_s) if size <= MAX_FRAME_BYTES else None

    def _exactly(self, size: int, until_s: float | None) -> bytes | None:
        body = bytearray(size)
        view, got = memoryview(body), 0
        while got < size:
            self._limit(until_s)
            n = self.stream.recv_into(view[got:])
            if not n:
                return None
            got += n
        return bytes(body)

    def _limit(self, until_s: float | None) -> None:
        self.stream.settimeout(None if until_s is None else max(1e-6, until_s - time.monotonic()))


def encode_request(raw: RawRecord) -> bytes:
    """A record without its source, which the parent keeps."""
    head = json.dumps([raw.url, raw.kind.value, raw.charset]).encode("ascii")
    return LENGTH.pack(len(head)) + head + raw.payload


def decode_request(body: bytes) -> RawRecord:
    """The inverse of `encode_request`, with no source."""
    start = LENGTH.size + LENGTH.unpack_from(body)[0]
    url, kind, charset = json.loads(body[LENGTH.size : start])
    return RawRecord(url, body[start:], Kind(kind), charset, NOWHERE)


def encode_reply(outcome: Document | Dropped) -> bytes:
    """A document or a reason without its URL and source."""
    if isinstance(outcome, Document):
        fields = [outcome.title, outcome.text, outcome.language, outcome.signature.hex()]
    else:
        fields = [outcome.stage, outcome.reason, outcome.detail]
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")


def decode_reply(raw: RawRecord, body: bytes) -> Document | Dropped:
    """The inverse of `encode_reply` for the record that was sent."""
    fields: list[str] = json.loads(body)
    if len(fields) == 3:
        return Dropped(raw.url, fields[0], fields[1], fields[2], raw.source)
    title, text, language, signature = fields
    return Document(document_id(raw.url), raw.url, title, text, language, raw.source, bytes.fromhex(signature))
