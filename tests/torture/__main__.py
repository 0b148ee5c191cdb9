"""`make torture`: a producer process with its uploader is killed again and again, while its link is cut and falls
silent, its outbox is copied from inside, and a second instance starts on it; then what was accepted is compared with
what arrived, by SHA-256.

Everything is real: processes, SIGKILL, an OpenSSH server, SQLite on a disk. The seed is printed; it draws the moments
(see moments.py). A run that does not hold keeps its folder. The last line is always the same figures, and the exit
status is 0 only if nothing was lost, nothing was partial, everything accepted was delivered and the ledger agrees.
"""

import argparse
import json
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.servers.openssh import OpenSshServer
from tests.torture.account import ACCEPTED, OFFERED, REFUSED, ProducerAccount
from tests.torture.aftermath import Aftermath
from tests.torture.audit import ProducerStory, Sum, audit
from tests.torture.link import TroubledLink
from tests.torture.moments import moments, troubles
from tests.torture.outbox import read_outbox
from tests.torture.producer import DRAIN_MAX_S
from tests.torture.second import SecondInstance
from tests.torture.victim import Victim
from tests.torture.watch import TEMP_PREFIX, ReceivingWatch

TOLD_EACH = 10  # of what is wrong


class TortureRun(NamedTuple):
    sum: Sum
    kills: int
    report: list[str]


def torture(kills: int, seed: str, folder: Path, *, pick_up: bool) -> TortureRun:
    """Kill so many processes, drain, audit. `folder` has to be empty. `pick_up`: what arrives is collected at once."""
    received, collected = folder / "received", folder / "collected"
    received.mkdir(parents=True)
    began_s = time.monotonic()
    aftermath = Aftermath(folder)
    watch = ReceivingWatch(received, folder / OFFERED, collected if pick_up else None)
    with OpenSshServer(folder / "sshd") as server, watch:
        (folder / "server.json").write_text(json.dumps(server.info(received)))
        with TroubledLink(server, troubles(seed)) as link, SecondInstance(folder) as second:
            kinds = _kill(kills, seed, folder, aftermath, second)
        with Victim(folder, "the last run", "drain") as last:
            last.wait_ready()
            stats = json.loads(last.wait_done(DRAIN_MAX_S + 30.0))
    story = ProducerStory(*(ProducerAccount(folder / name).read() for name in (OFFERED, ACCEPTED, REFUSED)))
    outbox = read_outbox(folder / "outbox")
    result = audit(story, received, collected, watch.partial, outbox)
    if stats["total_queued"] != stats["total_uploaded"] + stats["total_failed"] + stats["queue_size"]:
        result.faults.append(f"the four statistics do not balance: {stats}")
    result.faults.extend(aftermath.faults + second.faults)
    temp_files = sum(1 for _ in received.rglob(f"{TEMP_PREFIX}*"))
    recorded = {delivery["source"] for delivery in outbox.deliveries}
    unanswered = len(recorded - {offer.source for offer in story.accepted})
    size_mib = sum(offer.size_bytes for offer in story.accepted) / 2**20
    return TortureRun(
        result,
        sum(kinds.values()),
        [
            f"in {time.monotonic() - began_s:.0f} s, {size_mib:.0f} MiB accepted, {len(story.refused)} files refused",
            f"killed: {_counted(kinds)}",
            f"hit in the middle, kills: {_counted(aftermath.hits)}",
            f"the link: {_counted(link.counts)}",
            f"the second instance: {_counted(second.counts)}",
            f"ledger: {len(outbox.lines)} lines",
            f"delivered, though killed before the answer was written down: {unanswered}",
            f"the server: looked at {watch.looks} times, {temp_files} temp files left",
        ],
    )


def _kill(kills: int, seed: str, folder: Path, aftermath: Aftermath, second: SecondInstance) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for number, moment in enumerate(moments(seed)):
        if sum(kinds.values()) == kills:
            break
        with Victim(folder, f"run-{number:04}", seed) as victim:
            second.go()
            if victim.kill_at(moment):
                kinds[moment.kind.value] += 1
        second.pause()
        aftermath.look(victim.run)
    return kinds


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    options = argparse.ArgumentParser(prog="make torture", description=__doc__)
    options.add_argument("--kills", type=int, default=30)
    options.add_argument("--seed", default=None, help="draws the moments; another one each time if not given")
    options.add_argument(
        "--pick-up", action="store_true", help="collect each file from the server as soon as it is seen"
    )
    options.add_argument("--folder", type=Path, default=None, help="where it runs; a new one in the temporary folder")
    given = options.parse_args()
    seed = given.seed or secrets.token_hex(4)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="iris-torture-"))
    _say(f"seed {seed}, {given.kills} kills, in {folder}")
    try:
        run = torture(given.kills, seed, folder, pick_up=given.pick_up)
    except BaseException:
        _say(f"broken off; seed {seed}, everything is kept in {folder}")
        raise
    for line in run.report:
        _say(line)
    result = run.sum
    for name in ("lost", "partial", "duplicates", "faults"):
        for what in getattr(result, name)[:TOLD_EACH]:
            _say(f"{name}: {what}")
    if result.holds and not result.duplicates:
        shutil.rmtree(folder)
    else:
        _say(f"seed {seed}: everything is kept in {folder}")
    _say(result.line(run.kills))
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
