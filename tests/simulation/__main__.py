"""`python -m tests.simulation --seeds 500`, or `--seed 17` with its story. Run by `make simulate`."""

import argparse
import os
import sys
import time

from tests.simulation.world import simulate

SET_ORDER = "PYTHONHASHSEED"  # of texts in sets: part of what a seed has to reproduce


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one, with its story")
    options = parser.parse_args()
    if os.environ.get(SET_ORDER) != "0":
        os.environ[SET_ORDER] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    seeds = range(options.first, options.first + options.seeds) if options.seed is None else [options.seed]
    began_s, outcomes = time.monotonic(), []
    for seed in seeds:
        outcome = simulate(seed, on_line=say if options.seed is not None else None)
        outcomes.append(outcome)
        if outcome.broken:
            say(f"seed={seed} failed: {outcome.broken[0]}")
    failed = sum(bool(outcome.broken) for outcome in outcomes)
    say(
        f"seeds={len(outcomes)} failed={failed} files={sum(outcome.files for outcome in outcomes)}"
        f" crashes={sum(outcome.crashes for outcome in outcomes)}"
        f" virtual_hours={sum(outcome.virtual_s for outcome in outcomes) / 3600:.0f}"
        f" seconds={time.monotonic() - began_s:.1f}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
