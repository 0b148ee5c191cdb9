"""Our rows of the table, each a whole process: see `peers.py` for the arguments.

`engine`: the SFTP carrier alone, every file given to it at once; what the protocol engine can do.
`uploader`: the public interface, durable outbox included, from the first `queue_upload` to the last delivery recorded.

Each also measures itself, and writes `figures.json`:

    span_s            from the first file given to the last one delivered, connecting included
    steady_s          from when it is connected, and all have their fingerprints, to the last one delivered
    steady_cpu_s      the processor time of this process alone meanwhile, without programs it started
    above_idle_bytes  the most memory it held meanwhile, less what it held before (`uploader`: once it was open)
"""

import argparse
import asyncio
import json
import resource
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from iris_communication.clock import SystemClock
from iris_communication.delivery.sftp_carrier import SftpCarrier
from iris_communication.item import Item, Take
from iris_communication.outbox.files.spool import fingerprint_of
from iris_communication.server.facts import parse_server
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from iris_communication.transport.contract import Transport

LIMIT_S = 600.0
POLL_S = 0.002  # between two queries of the uploader's statistics


@dataclass
class Meter:
    """Its own stopwatch; `begin` when the first file is given, `warm` once it is connected."""

    begun_s: float = 0.0
    warm_s: float = 0.0
    warm_cpu_s: float = 0.0
    idle_bytes: int = 0

    def begin(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak of starting
        self.idle_bytes = _memory_bytes("VmRSS")
        self.begun_s = time.perf_counter()

    def warm(self) -> None:
        self.warm_s, self.warm_cpu_s = time.perf_counter(), _cpu_s()

    def end(self, scratch: Path) -> None:
        now_s, cpu_s = time.perf_counter(), _cpu_s()
        figures = {
            "span_s": now_s - self.begun_s,
            "steady_s": now_s - self.warm_s,
            "steady_cpu_s": cpu_s - self.warm_cpu_s,
            "above_idle_bytes": _memory_bytes("VmHWM") - self.idle_bytes,
        }
        (scratch / "figures.json").write_text(json.dumps(figures))


def main() -> int:
    arguments = _arguments()
    files = sorted(Path(arguments.source).iterdir())
    info = {
        "host": arguments.host,
        "port": arguments.port,
        "username": arguments.username,
        "private_key": arguments.private_key,
        "host_key": arguments.host_key,
        "remote_directory": arguments.remote_directory,
        **json.loads(arguments.settings),
    }
    scratch = Path(arguments.scratch)
    if arguments.which == "engine":
        engine = _engine(files, *parse_server(info), _transport(arguments.transport), scratch)
        with asyncio.Runner(loop_factory=_uvloop() if arguments.uvloop else None) as runner:
            runner.run(engine)
        return 0
    return _uploader(files, info, scratch)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=("engine", "uploader"))
    for name in ("source", "host", "username", "private-key", "host-key", "remote-directory", "scratch"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--transport", choices=("asyncssh", "ssh"), default="asyncssh")
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--settings", default="{}", help="more keys of sftp_server_info, as JSON")
    return parser.parse_args()


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop  # noqa: PLC0415 - it may be missing, and costs the others nothing

    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made


def _transport(name: str) -> Transport:
    if name == "asyncssh":
        return AsyncsshTransport()
    from iris_communication.transport.openssh.process import SshProgramTransport  # noqa: PLC0415 - no cost to the other

    return SshProgramTransport(configs=())


async def _engine(files: list[Path], server: Server, secret: Secret, transport: Transport, scratch: Path) -> None:
    clock, paths, meter = SystemClock(), {file.name: file for file in files}, Meter()
    carrier = SftpCarrier(transport, lambda _: (server, secret), lambda item: paths[item.id], DeliverySettings(), clock)
    tasks: list[asyncio.Task[None]] = []
    meter.begin()
    first = asyncio.create_task(carrier.carry(_item(files[0], server)))  # the slots are known once connected
    items = []
    for file in files[1:]:  # what accepting has done beforehand in the uploader: while it connects
        items.append(_item(file, server))
        await asyncio.sleep(0)
    waiting = iter(items)

    async def carry_waiting() -> None:
        for item in waiting:
            await carrier.carry(item)

    def fill() -> None:
        """Start more tasks once the server has stated its limits."""
        if not tasks:
            meter.warm()
        tasks.extend(asyncio.create_task(carry_waiting()) for _ in range(carrier.slots(server.key) - len(tasks)))

    carrier.on_change = fill
    if carrier.connected(server.key):
        fill()
    await first
    await asyncio.gather(*tasks)
    meter.end(scratch)
    await carrier.close()


def _item(file: Path, server: Server) -> Item:
    return Item(
        id=file.name,
        sequence=1,
        server_key=server.key,
        source_path=str(file),
        remote_path=f"{server.remote_directory}/{file.name}",
        folder_type="model",
        project_settings={},
        take=Take.COPY,
        fingerprint=fingerprint_of(str(file)),
        accepted_s=0.0,
        token=secrets.token_hex(8),
    )


def _uploader(files: list[Path], info: dict[str, object], scratch: Path) -> int:
    from iris_communication.sftp_uploader_thread import SftpUploaderThread  # noqa: PLC0415 - no cost to the engines

    meter = Meter()
    uploader = SftpUploaderThread(scratch / "outbox", max_queue_size=len(files) + 1)
    uploader.start()
    uploader.configure_server("bench", info)
    meter.begin()
    meter.warm()
    for file in files:
        if not uploader.queue_upload("bench", file, "line-1", "model"):
            return 1
    deadline_s = time.monotonic() + LIMIT_S
    while uploader.get_stats()["queue_size"] and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    meter.end(scratch)
    stats = uploader.get_stats()
    uploader.close()
    return 0 if stats["total_uploaded"] == len(files) else 1


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _memory_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"/proc/self/status has no {name}")


if __name__ == "__main__":
    sys.exit(main())
