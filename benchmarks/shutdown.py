"""How long `iris run` takes to end, with a hundred and more files waiting: link up, cut, and silent.

A real process, a real OpenSSH server. The server is frozen while the files gather, so that each case begins with the
same backlog; at the moment of SIGTERM it answers again (up), is gone and refuses connections (cut), or stays frozen
(silent). Then a second process with the link up delivers what was left: nothing may be missing.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from iris_communication.admin.audit import Audit
from tests.servers.openssh import OpenSshServer
from tests.system.iris_process import IrisProcess

Link = Literal["up", "cut", "silent"]
LINKS: tuple[Link, ...] = get_args(Link)
WAITING_MIN = 100
GATHER_S = 60.0


class MeasuredEnding(NamedTuple):
    """`waiting` files when it was asked to stop, `left` when it had ended; `lost` after the next start."""

    link: Link
    waiting: int
    seconds: float
    status: int
    left: int
    lost: int
    log: str


def measure(link: Link, folder: Path, sshd: Path | None = None) -> MeasuredEnding:
    """One ending; `folder` has to be empty."""
    received = folder / "received"
    received.mkdir()
    with OpenSshServer(folder / "sshd", sshd=sshd) as server:
        settings = folder / "iris.toml"
        settings.write_text(_settings(folder, server, received))
        server.freeze()
        with IrisProcess(["--config", settings]) as running:
            running.wait_until(lambda: running.stats()["stats"]["queue_size"] >= WAITING_MIN, GATHER_S)
            waiting = running.stats()["stats"]["queue_size"]
            if link == "up":
                server.thaw()
            elif link == "cut":
                server.stop()
            status, seconds = running.end()
            log = running.text
        left = Audit(folder / "outbox").balance().counted.get("waiting", 0)
        if link == "silent":
            server.thaw()
        elif link == "cut":
            server.start()
        with IrisProcess(["--config", settings, "--source", f"dir:{folder / 'nothing'}"]) as after:
            after.wait_until(lambda: after.stats()["stats"]["queue_size"] == 0, GATHER_S)
            after.end()
        arrived = sum(1 for path in received.rglob("*.csv"))
        lost = _sequence_gaps(received)
    assert arrived >= waiting, "fewer arrived than had waited"
    return MeasuredEnding(link, waiting, seconds, status, left, lost, log)


def _settings(folder: Path, server: OpenSshServer, received: Path) -> str:
    (folder / "nothing").mkdir()
    return f"""
[cameras.line-1]
source = "synthetic"

[records]
folder = "{folder / "records"}"
rows_max = 2

[evidence]
enabled = false

[outbox]
folder = "{folder / "outbox"}"

[servers.plant]
host = "{server.host}"
port = {server.port}
username = "{server.username}"
private_key = "{server.private_key}"
host_key = "{server.host_key}"
remote_directory = "{received}"

[delivery]
breaker_base_s = 0.2
breaker_cap_s = 1.0
"""


def _sequence_gaps(received: Path) -> int:
    """Files that were written and are not there: each run and kind counts its files without a gap."""
    numbers: dict[tuple[str, str], list[int]] = {}
    for path in received.rglob("*.csv"):
        _, kind, _, run, sequence = path.stem.split("_")
        numbers.setdefault((run, kind), []).append(int(sequence))
    return sum(max(found) - len(set(found)) for found in numbers.values())


def as_text(endings: list[MeasuredEnding]) -> str:
    lines = ["link     waiting   seconds   left   lost   exit status"]
    for link in LINKS:
        of_link = [ending for ending in endings if ending.link == link]
        seconds = statistics.median(ending.seconds for ending in of_link)
        last = of_link[-1]
        lines.append(f"{link:<8} {last.waiting:>7} {seconds:>9.1f} {last.left:>6} {last.lost:>6}   {last.status}")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeat", type=int, default=3, choices=range(1, 10))
    repeat = options.parse_args().repeat
    endings = []
    for _ in range(repeat):
        for link in LINKS:
            with tempfile.TemporaryDirectory() as folder:
                endings.append(measure(link, Path(folder)))
    print(as_text(endings))


if __name__ == "__main__":
    main()
