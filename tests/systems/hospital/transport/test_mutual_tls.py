import asyncio
import contextlib
import ssl

import pytest
from transport_site import kits

from sixfold.errors import InputError
from sixfold.systems.hospital.transport.flower_processes import free_port
from sixfold.systems.hospital.transport.mutual_tls import Door, tls_context

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours")
    kits(folder, ["a"])
    return folder


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("theirs")
    kits(folder, ["a"])
    return folder


class Doors:
    """A service that echoes, an inner door in front of it, an outer door on the far side."""

    def __init__(self, inner_kit, outer_kit, outer_to=HOST):
        self.service, self.inner, self.outer = free_port(), free_port(), free_port()
        self.kits, self.outer_to = (inner_kit, outer_kit), outer_to
        self.connections = 0
        self.ended = asyncio.Event()

    async def _echo(self, reader, writer):
        self.connections += 1
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()
        self.ended.set()

    async def __aenter__(self):
        inner_kit, outer_kit = self.kits
        self.server = await asyncio.start_server(self._echo, HOST, self.service)
        doors = [
            Door(inner_kit, (HOST, self.inner), (HOST, self.service), guarded=True),
            Door(outer_kit, (HOST, self.outer), (self.outer_to, self.inner), guarded=False),
        ]
        self.tasks = [asyncio.create_task(door.serve()) for door in doors]
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.server.close()
        await asyncio.sleep(0.05)


async def through(port, data, context=None):
    """What comes back for `data`; nothing when the connection is refused or cut."""
    back = b""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
        try:
            writer.write(data)
            await writer.drain()
            back = await asyncio.wait_for(reader.readexactly(len(data)), 10)
        finally:
            writer.transport.abort()
    return back


def client_context(kit):
    """TLS that accepts any server, with the certificate of a kit or with none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if kit is not None:
        context.load_cert_chain(kit / "tls.crt", kit / "tls.key")
    return context


def test_a_hospital_with_its_certificate_passes_any_bytes(ours):
    data = bytes(range(256)) * 20_000  # 5 MB: more than any buffer on the way

    async def run():
        async with Doors(ours / "coordinator", ours / "a") as doors:
            return await asyncio.gather(*(through(doors.outer, data[: 10**at]) for at in range(7)))

    assert asyncio.run(run()) == [data[: 10**at] for at in range(7)]


@pytest.mark.parametrize("who", ["nobody", "another federation's hospital"])
def test_no_byte_of_a_stranger_reaches_the_service(ours, theirs, who):
    context = client_context(None if who == "nobody" else theirs / "a")

    async def run():
        async with Doors(ours / "coordinator", ours / "a") as doors:
            plain = await through(doors.inner, b"hello")
            return plain, await through(doors.inner, b"hello", context), doors.connections

    assert asyncio.run(run()) == (b"", b"", 0)


@pytest.mark.parametrize("which", ["another authority", "another host", "a hospital"])
def test_a_hospital_does_not_talk_to_a_false_coordinator(ours, theirs, which):
    inner = {"another authority": theirs / "coordinator", "another host": ours / "coordinator"}.get(which, ours / "a")
    to = "localhost" if which == "another host" else HOST  # the certificate is for 127.0.0.1 only

    async def run():
        async with Doors(inner, ours / "a", to) as doors:
            return await through(doors.outer, b"hello"), doors.connections

    assert asyncio.run(run()) == (b"", 0)


def test_when_the_service_is_down_a_hospital_is_refused_and_not_left_waiting(ours):
    async def run():
        async with Doors(ours / "coordinator", ours / "a") as doors:
            doors.server.close()
            reader, _ = await asyncio.open_connection(HOST, doors.outer)
            with pytest.raises(ConnectionResetError):  # not an end of file, which a SuperNode takes for broken TLS
                await asyncio.wait_for(reader.read(1), 10)

    asyncio.run(run())


def test_when_a_hospital_hangs_up_the_service_hears_of_it(ours):
    async def run():
        async with Doors(ours / "coordinator", ours / "a") as doors:
            assert await through(doors.outer, b"hello") == b"hello"  # and hangs up
            await asyncio.wait_for(doors.ended.wait(), 10)

    asyncio.run(run())


def test_only_tls_1_3_is_spoken(ours):
    context = client_context(ours / "a")
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def run():
        async with Doors(ours / "coordinator", ours / "a") as doors:
            return await through(doors.inner, b"hello", context)

    assert asyncio.run(run()) == b""


def test_a_kit_without_certificates_is_named(tmp_path):
    with pytest.raises(InputError, match="no usable certificate"):
        tls_context(tmp_path, server=True)
