"""The processor that delivers over SFTP: one file, blocking, or many at once under the outbox.

`transferData` is the call its users know: it connects, uploads one file and disconnects. `carrier` is what the
uploader thread asks a processor for: the same upload, hundreds in flight on one connection.
"""

import os
import secrets
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from iris_communication.clock import Clock, SystemClock
from iris_communication.delivery.carrier import Carrier, TransferData, TransferDataCarrier
from iris_communication.delivery.daemon_threads import run
from iris_communication.delivery.sftp_carrier import SftpCarrier
from iris_communication.item import Item, Take, Upload
from iris_communication.outbox.files.known_servers import KnownServers
from iris_communication.outbox.files.servers import Servers
from iris_communication.outbox.files.spool import fingerprint_of
from iris_communication.outbox.writer.held_bytes import HeldBytes
from iris_communication.remote_path import remote_path, source_path
from iris_communication.server.facts import parse_server
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport.chosen import ChosenTransport
from iris_communication.transport.contract import Transport


class SftpProcessor:
    def __init__(
        self, settings: DeliverySettings | None = None, transport: Transport | None = None, clock: Clock | None = None
    ) -> None:
        self._settings = settings or DeliverySettings()
        self._transport = transport or ChosenTransport()
        self._clock = clock or SystemClock()

    @property
    def overrides_transfer_data(self) -> bool:
        """Whether this is a subclass with a transferData of its own: then that is what has to be called."""
        return type(self).transferData is not SftpProcessor.transferData

    def transferData(  # noqa: N802  # the name is fixed by its users
        self,
        sftp_server_info: Mapping[str, Any],
        file_path: "str | os.PathLike[str]",
        project_settings: Any,
        folder_type: str,
    ) -> bool:
        """Upload one file and return True; blocks until its rename is confirmed. Raises IrisError. Keeps no record:
        a program that must not lose the file queues it with SftpUploaderThread instead."""
        server, secret = parse_server(sftp_server_info)
        source = source_path(file_path)
        now_s = self._clock.wall_s()
        item = Item(
            id="transferData",
            sequence=0,
            server_key=server.key,
            source_path=source,
            remote_path=remote_path(server, source, project_settings, folder_type),
            folder_type=folder_type,
            project_settings={},
            take=Take.COPY,
            fingerprint=fingerprint_of(source),
            accepted_s=now_s,
            token=secrets.token_hex(8),
        )
        run(self._deliver(item, server, secret), self._settings.event_loop)
        return True

    def carrier(
        self, resolve: Callable[[str], tuple[Server, Secret]], held: Callable[[Upload], Path | bytes]
    ) -> SftpCarrier:
        return SftpCarrier(self._transport, resolve, held, self._settings, self._clock)

    async def _deliver(self, item: Item, server: Server, secret: Secret) -> None:
        carrier = self.carrier(lambda _: (server, secret), lambda _: Path(item.source_path))
        try:
            await carrier.carry(item)
        finally:
            await carrier.close()


def carrier_for(
    processor: TransferData,
    servers: Servers,
    held: HeldBytes,
    folder: Path,
    clock: Clock,
    one_at_a_time: threading.Lock,
) -> Carrier:
    """The carrier for the outbox in `folder`: many items at once, or one at a time by an injected transferData."""
    if isinstance(processor, SftpProcessor) and not processor.overrides_transfer_data:
        carrier = processor.carrier(servers.resolve, held.of)
        carrier.remember_in(KnownServers(folder))
        return carrier
    return TransferDataCarrier(
        processor,
        servers.info,
        lambda item: held.named(item, os.path.basename(item.source_path)),
        clock,
        one_at_a_time,
    )
