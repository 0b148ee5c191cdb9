"""When a process is killed, and what befalls its link meanwhile: drawn from the seed, and nothing else.

The same seed draws the same moments; what a process has done by then is up to the machine, so that no two runs are the
same. Some moments are times. Others are sights, so that the writer and the uploader are certainly in the middle of
something: a new file in the spool, or a new commit in the log, is not answered yet; a temp file on the server has not
been renamed.
"""

import random
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    STARTING = "starting"  # so long after the process was made: imports, recovery, the first connection
    SHORT = "short"  # so long after it was ready
    LONG = "long"
    TAKING = "taking"  # so long after a new file in the spool or a change of the log was seen
    SENDING = "sending"  # so long after a temp file on the server was seen
    ENDING = "ending"  # so long after it was asked to end


class Moment(NamedTuple):
    kind: Kind
    after_s: float


class ServerTrouble(NamedTuple):
    name: str  # cut, restart or silence
    after_s: float  # since the one before
    lasts_s: float


_WITHIN_S = {
    Kind.STARTING: (0.2, 0.9),
    Kind.SHORT: (0.0, 0.15),
    Kind.LONG: (0.15, 1.5),
    Kind.TAKING: (0.0, 0.005),
    Kind.SENDING: (0.0, 0.02),
    Kind.ENDING: (0.0, 0.1),
}
_WEIGHTS = {
    Kind.STARTING: 12,
    Kind.SHORT: 25,
    Kind.LONG: 20,
    Kind.TAKING: 18,
    Kind.SENDING: 18,
    Kind.ENDING: 7,
}


def moments(seed: str) -> Iterator[Moment]:
    chance = random.Random(f"{seed} moments")
    while True:
        (kind,) = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        yield Moment(kind, chance.uniform(*_WITHIN_S[kind]))


def troubles(seed: str) -> Iterator[ServerTrouble]:
    chance = random.Random(f"{seed} troubles")
    while True:
        (name,) = chance.choices(("cut", "restart", "silence"), (5, 2, 3))
        yield ServerTrouble(name, chance.uniform(0.2, 2.5), chance.uniform(0.1, 2.0))
