"""A name of two addresses, of which the first drops every packet: in a name space with its own /etc/hosts."""

import pytest

from tests.integration.namespace import ROOT, run_with_disks_of_its_own

# Then on as a user other than root: root's ssh sets its groups, which is not permitted here.
MOUNT = """
import os

hosts = folder / "hosts"
hosts.write_text("".join(f"{address} plant\\n" for address in sys.argv[3].split(",")))
mount("/etc/hosts", "--bind", str(hosts))
as_daemon = ["unshare", "--user", "--map-user=1", "--map-group=1"]
os.execvp("unshare", [*as_daemon, sys.executable, "-W", "error", "-c", sys.argv[4], *sys.argv[2:4], sys.argv[5]])
"""
CONNECT = """
import json, sys
sys.path[:0] = [sys.argv[3]]
import asyncio, contextlib, socket, time
from iris_communication.errors import IrisError
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from iris_communication.transport.openssh.process import SshProgramTransport
from tests.servers.one_user import HOST_KEY, PASSWORD, OneUser, public
import asyncssh


def report(**facts):
    print("FACTS " + json.dumps(facts), flush=True)

first, *others = sys.argv[2].split(",")
transport = {"asyncssh": AsyncsshTransport, "ssh": lambda: SshProgramTransport(configs=[])}[sys.argv[1]]()


class Receiver:
    def data_received(self, data): ...
    def channel_lost(self, error): ...


async def main():
    # glibc returns 127.0.0.1 first, as the one that is most like our own.
    with contextlib.ExitStack() as held:
        hole = held.enter_context(socket.create_server((first, 0), backlog=0))
        for _ in range(4):
            caller = held.enter_context(socket.socket())
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(hole.getsockname())
        port = hole.getsockname()[1]
        acceptors = [
            await asyncssh.listen(address, port, server_factory=OneUser, server_host_keys=[HOST_KEY], sftp_factory=True)
            for address in others
        ]
        server = Server("plant", "iris", port, host_key=public(HOST_KEY))
        settings = DeliverySettings(connect_timeout_s=6.0)
        begun_s = time.monotonic()
        try:
            channel = await transport.connect(server, Secret(password=PASSWORD), settings, Receiver())
            report(connected=channel.software, within_s=time.monotonic() - begun_s)
            channel.close()
        except IrisError as error:
            report(failed=type(error).__name__, says=str(error), within_s=time.monotonic() - begun_s)
        for acceptor in acceptors:
            acceptor.close()
        await asyncio.sleep(0)

asyncio.run(main())
"""


def connected(folder, transport, addresses):
    facts, _ = run_with_disks_of_its_own(MOUNT, folder, transport, addresses, CONNECT, ROOT)
    return facts


@pytest.mark.parametrize("transport", ["asyncssh", "ssh"])
def test_an_address_that_drops_every_packet_leaves_the_next_one_its_share_of_the_time(
    transport, tmp_path, need_program
):
    need_program("ssh", hint="make system-packages")
    facts = connected(tmp_path, transport, "127.0.0.1,127.0.0.2")
    assert facts.get("connected", "").startswith("AsyncSSH_"), facts
    assert facts["within_s"] < 6.0


@pytest.mark.parametrize("transport", ["asyncssh", "ssh"])
def test_the_timeout_is_kept_where_every_address_drops_every_packet(transport, tmp_path, need_program):
    need_program("ssh", hint="make system-packages")
    facts = connected(tmp_path, transport, "127.0.0.1")
    assert facts["failed"] == "LinkTimeout"
    assert facts["within_s"] < 9.0
