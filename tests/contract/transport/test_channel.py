"""What a channel carries, both ways, and how it ends."""

import asyncio
import hashlib
import itertools
import os
import struct
import time
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from iris_communication.errors import AuthenticationFailed, HostKeyRejected, HostNotFound, LinkLost
from iris_communication.settings import Secret
from iris_communication.sftp import wire
from tests.contract.transport.connecting import HINT, SETTINGS, KeepingReceiver, address_of, key_of
from tests.servers.one_user import CLIENT_KEY, HOST_KEY, public
from tests.servers.openssh import OpenSshServer, descendants
from tests.thorough import examples

MEBIBYTE = 1 << 20


def children():
    """The child processes of this one, those that are dead and not collected among them."""
    return {pid for pid in descendants(os.getpid()) if parent_of(pid) == os.getpid()}


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def test_a_channel_carries_the_servers_sftp_and_has_its_software_and_host_key(transport, openssh):
    async def test():
        receiver = KeepingReceiver()
        channel = await transport.connect(address_of(openssh), key_of(openssh), SETTINGS, receiver)
        assert channel.software.startswith("OpenSSH_")
        assert channel.host_key == asyncssh.import_public_key(openssh.host_key).get_fingerprint()
        channel.write(wire.init())
        version, extensions = wire.decode_version(await receiver.packet())
        assert version == 3
        assert extensions[b"limits@openssh.com"] == b"1"
        channel.close()
        await receiver.end()

    asyncio.run(test())


def test_many_megabytes_go_there_and_come_back_as_they_were(transport, openssh, tmp_path):
    data = os.urandom(MEBIBYTE)
    megabytes = examples(100)
    total_bytes, piece_bytes, window = megabytes * MEBIBYTE, 32 * 1024, 64

    async def test():
        receiver, ids = KeepingReceiver(), itertools.count(1)
        channel = await transport.connect(address_of(openssh), key_of(openssh), SETTINGS, receiver)

        async def ask(request):
            channel.write(request.encode(next(ids)))
            return await receiver.reply()

        async def pipelined(requests):
            """The replies, in order, with a window of requests under way: both ways are busy at once."""
            under_way = 0
            for request in requests:
                channel.write(request)
                under_way += 1
                if under_way == window:
                    yield await receiver.packet()
                    under_way -= 1
            for _ in range(under_way):
                yield await receiver.packet()

        def write(handle, offset):
            at = offset % MEBIBYTE
            body = struct.pack(">I", len(handle)) + handle + struct.pack(">QI", offset, piece_bytes)
            head = struct.pack(">IBI", 5 + len(body) + piece_bytes, wire.FXP_WRITE, next(ids))
            return head + body + data[at : at + piece_bytes]

        channel.write(wire.init())
        await receiver.packet()
        path = os.fsencode(tmp_path / "large")
        handle = (await ask(wire.Open(path, 0x1A))).handle
        offsets = range(0, total_bytes, piece_bytes)
        async for packet in pipelined(write(handle, offset) for offset in offsets):
            assert wire.decode(packet)[1].code == wire.FX_OK
        await ask(wire.Close(handle))
        assert (tmp_path / "large").stat().st_size == total_bytes
        handle = (await ask(wire.Open(path, 0x01))).handle
        came = hashlib.sha256()
        async for packet in pipelined(wire.Read(handle, at, piece_bytes).encode(next(ids)) for at in offsets):
            came.update(wire.decode(packet)[1].data)
        channel.close()
        assert came.digest() == hashlib.sha256(data * megabytes).digest()
        await receiver.end()

    asyncio.run(test())
    (tmp_path / "large").unlink()


def test_bytes_that_a_silent_server_does_not_take_block_no_caller_and_are_dropped_at_the_end(transport, openssh):
    """The server stands still: what is written waits here, the loop goes on, and closing needs no answer."""

    async def test():
        receiver = KeepingReceiver()
        channel = await transport.connect(address_of(openssh), key_of(openssh), SETTINGS, receiver)
        openssh.freeze()
        try:
            for _ in range(32):
                begun_s = time.monotonic()
                channel.write(bytes(MEBIBYTE))
                await asyncio.sleep(0)
                assert time.monotonic() - begun_s < 5.0
            begun_s = time.monotonic()
            channel.close()
            await receiver.end()
            assert time.monotonic() - begun_s < 5.0
        finally:
            openssh.thaw()

    asyncio.run(test())


def test_a_connection_that_is_cancelled_while_it_is_made_leaves_no_process_behind(transport, openssh):
    async def test():
        connecting = asyncio.ensure_future(
            transport.connect(address_of(openssh), key_of(openssh), SETTINGS, KeepingReceiver())
        )
        for _ in range(3):
            await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting

    before = children()
    asyncio.run(test())
    assert children() == before


def test_a_closed_channel_reports_its_end_once_and_writing_to_it_is_harmless(transport, openssh):
    async def test():
        receiver = KeepingReceiver()
        channel = await transport.connect(address_of(openssh), key_of(openssh), SETTINGS, receiver)
        channel.close()
        channel.close()
        channel.write(b"late")
        assert isinstance(await receiver.end(), LinkLost)
        channel.write(b"later")
        channel.close()
        await asyncio.sleep(0)
        assert len(receiver.ends) == 1

    asyncio.run(test())


def test_a_connection_that_is_cut_is_a_lost_link_and_writing_meanwhile_is_harmless(transport, openssh):
    async def test():
        receiver = KeepingReceiver()
        channel = await transport.connect(address_of(openssh), key_of(openssh), SETTINGS, receiver)
        await asyncio.to_thread(openssh.cut)
        while not receiver.ends:
            channel.write(b"more")
            await asyncio.sleep(0)
        (error,) = receiver.ends
        assert type(error) is LinkLost
        assert f"{openssh.username}@127.0.0.1:{openssh.port} ended" in str(error)
        channel.close()

    asyncio.run(test())


def test_a_server_that_falls_silent_between_requests_is_a_lost_link(transport, tmp_path, need_program):
    """After `progress_timeout_s`, as docs/connections.md says."""
    settings = replace(SETTINGS, progress_timeout_s=3.0)

    async def test(server):
        receiver = KeepingReceiver()
        heard_s = time.monotonic()  # or later: the server speaks last while the connection is made
        await transport.connect(address_of(server), key_of(server), settings, receiver)
        server.freeze()
        frozen_s = time.monotonic()
        assert type(await receiver.end()) is LinkLost
        assert time.monotonic() - heard_s > 2.0  # of three intervals: ssh counts whole seconds
        assert time.monotonic() - frozen_s < 10.0

    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT)) as server:
        try:
            asyncio.run(test(server))
        finally:
            server.thaw()


def test_many_connections_leave_no_file_open_and_no_process_behind(transport, openssh):
    async def one(server, secret):
        receiver = KeepingReceiver()
        try:
            channel = await transport.connect(server, secret, SETTINGS, receiver)
        except (AuthenticationFailed, HostKeyRejected, HostNotFound):
            return
        channel.write(wire.init())
        await receiver.packet()
        channel.close()
        await receiver.end()

    async def test(count):
        key = Secret(private_key=openssh.private_key.read_text())
        wrong = Secret(private_key=HOST_KEY.export_private_key().decode())
        work = [(address_of(openssh), key), (address_of(openssh), wrong), (address_of(openssh, host="a..b"), key)]
        work.append((address_of(openssh, host_key=public(CLIENT_KEY)), key))
        await asyncio.gather(*(one(*each) for each in work * count))

    asyncio.run(test(1))  # what is opened once for all
    before, files = children(), len(list(Path("/proc/self/fd").iterdir()))
    asyncio.run(test(2))
    assert children() == before
    assert len(list(Path("/proc/self/fd").iterdir())) == files
