"""The transport that a server's settings name.

To import asyncssh and the cryptography below it takes longer than all the rest of the library, and a program that looks
into an outbox, or leaves the delivery to another process, needs neither. So they are imported when something is to be
sent: by `load()` when an uploader starts, or by the first connection.
"""

# ruff: noqa: PLC0415 - as said above
from functools import cached_property
from importlib import import_module
from pathlib import Path

from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport.contract import Channel, Receiver, Transport


class ChosenTransport:
    """`accepted` is the file of keys that were accepted unseen, whichever transport saw them."""

    def __init__(self, accepted: Path | None = None) -> None:
        self._accepted = accepted

    async def connect(self, server: Server, secret: Secret, settings: DeliverySettings, receiver: Receiver) -> Channel:
        """Raises what the contract says."""
        return await self._by_name[server.transport].connect(server, secret, settings, receiver)

    @cached_property
    def _by_name(self) -> dict[str, Transport]:
        from iris_communication.transport.asyncssh.channel import AsyncsshTransport
        from iris_communication.transport.openssh.process import SshProgramTransport

        return {"asyncssh": AsyncsshTransport(self._accepted), "ssh": SshProgramTransport(self._accepted)}


def load() -> None:
    """Import what connecting needs, so that the first connection does not wait for it."""
    for name in ("asyncssh.channel", "openssh.process"):
        import_module(f"iris_communication.transport.{name}")


def foreseen_refusal(server: Server) -> str | None:
    """See `host_keys.foreseen_refusal`."""
    from iris_communication.transport import host_keys

    return host_keys.foreseen_refusal(server)
