"""Mutual TLS around a service that asks its clients for no certificate: two doors, and plain bytes between them.

Flower's SuperLink proves who it is but does not ask that of whoever connects. So its port stays on loopback, and the
only way in from outside is the inner door, which lets nobody pass without a certificate of the federation. A hospital's
SuperNode connects to the outer door on its own machine. The doors copy bytes and understand none: SuperNode and
SuperLink speak their own TLS through them, end to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
from pathlib import Path

from sixfold.errors import InputError, first_line

__all__ = ["Door", "tls_context"]

_CHUNK_BYTES = 1 << 16
_CONNECT_S = 15.0
_IDLE_S = 15 * 60.0  # a connection on which nothing moved for so long has lost its other end
_MOST_CONNECTIONS = 512


def tls_context(kit: Path, *, server: bool) -> ssl.SSLContext:
    """TLS 1.3 with the certificate of this kit; the other side has to show one of the same authority.

    Raises InputError for certificates that are missing or broken.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(kit / "tls.crt", kit / "tls.key")
        context.load_verify_locations(kit / "ca.crt")
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"no usable certificate ({first_line(error)})", path=kit) from error
    return context


class Door:
    """Listens at one place and passes every connection on to another, with mutual TLS on one of its two sides.

    listen, to: (host, port). guarded: TLS is towards those who connect (the inner door); else towards `to`.
    Raises OSError when the place is taken.
    """

    def __init__(self, kit: Path, listen: tuple[str, int], to: tuple[str, int], *, guarded: bool) -> None:
        self._listen, self._to = listen, to
        context = tls_context(kit, server=guarded)
        self._inside = context if guarded else None
        self._outside = None if guarded else context
        self._open = 0

    async def serve(self) -> None:
        """Pass connections on until cancelled."""
        host, port = self._listen
        server = await asyncio.start_server(self._pass_on, host, port, ssl=self._inside, limit=_CHUNK_BYTES)
        async with server:
            await server.serve_forever()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= _MOST_CONNECTIONS:
            _reset(writer)
            return
        self._open += 1
        try:
            async with asyncio.timeout(_CONNECT_S):
                far_reader, far_writer = await asyncio.open_connection(*self._to, ssl=self._outside, limit=_CHUNK_BYTES)
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, far_writer))
                both.create_task(_copy(far_reader, writer))
        except* (OSError, TimeoutError) as errors:
            _say(self._to, errors.exceptions[0])
            _reset(writer)
        finally:
            self._open -= 1
            writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one end closes; then close the other, which makes the copy in the other direction end too."""
    moved = False
    try:
        while True:
            async with asyncio.timeout(_IDLE_S):
                data = await reader.read(_CHUNK_BYTES)
                if not data:
                    return
                moved = True
                writer.write(data)
                await writer.drain()
    finally:
        if moved:  # what came is delivered before its end
            with contextlib.suppress(OSError):
                writer.close()
        else:
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close as a refusal: a SuperNode tries again after a reset, and gives up when a TLS handshake ends early."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _say(to: tuple[str, int], error: BaseException) -> None:
    sys.stderr.write(f"connection to {to[0]}:{to[1]} ended: {first_line(error)}\n")
    sys.stderr.flush()


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _main(side: str, kit: str, listen: str, to: str) -> None:
    door = Door(Path(kit), _place(listen), _place(to), guarded=side == "inner")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(door.serve())


if __name__ == "__main__":
    _main(*sys.argv[1:])
