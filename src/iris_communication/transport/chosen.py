"""The transport that a server's settings name."""

from pathlib import Path

from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from iris_communication.transport.contract import Channel, Receiver, Transport
from iris_communication.transport.openssh.process import SshProgramTransport


class ChosenTransport:
    """`accepted` is the file of keys that were accepted unseen, whichever transport saw them."""

    def __init__(self, accepted: Path | None = None) -> None:
        self._by_name: dict[str, Transport] = {
            "asyncssh": AsyncsshTransport(accepted),
            "ssh": SshProgramTransport(accepted),
        }

    async def connect(self, server: Server, secret: Secret, settings: DeliverySettings, receiver: Receiver) -> Channel:
        """Raises what the contract says."""
        return await self._by_name[server.transport].connect(server, secret, settings, receiver)
