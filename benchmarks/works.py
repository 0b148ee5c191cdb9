"""What is carried: kinds of files over kinds of links, and who takes part in each."""

from typing import NamedTuple

from benchmarks.peers import AES_CLIENT, OURS, PEERS, QUICK_PEERS, STREAMS_CLIENT, UVLOOP_CLIENT

MB = 1_000_000
MIB = 1 << 20


class BenchWork(NamedTuple):
    """`name` is what --only takes. One file of `large_bytes`, or as many CSVs as `files` says. `steady`: what ours do
    once connected is measured, without starting and connecting."""

    name: str
    files: int
    rtt_ms: float
    clients: tuple[str, ...]
    large_bytes: int = 0
    steady: bool = False

    def __str__(self) -> str:
        if self.large_bytes:
            return f"one file of {self.large_bytes // MIB} MiB"
        return f"{self.files:,} CSVs of 2-20 KB" + (", set-up aside" if self.steady else "")


_ALL = (*PEERS, *OURS)
_ENGINES = ("iris-engine", "iris-engine-ssh")
_QUICK = (*QUICK_PEERS, *OURS)
WHOLE = (
    BenchWork("small-0", 2_000, 0, (*_ALL, UVLOOP_CLIENT)),
    BenchWork("steady", 20_000, 0, ("bare-pipe", "bare-pipe-session", *_ENGINES, UVLOOP_CLIENT), steady=True),
    BenchWork("many-0", 20_000, 0, ("openssh-sftp", "rclone-16", "lftp-16", "asyncssh", *OURS)),
    BenchWork("small-20", 500, 20, _ALL),
    BenchWork("small-100", 500, 100, _ALL),
    BenchWork("large-0", 1, 0, (*_ALL, AES_CLIENT), large_bytes=512 * MIB),
    BenchWork("large-100", 1, 100, (*_ALL, STREAMS_CLIENT), large_bytes=256 * MIB),
)
QUICK = (BenchWork("small-0", 2_000, 0, _QUICK), BenchWork("small-20", 300, 20, _QUICK))
