"""The order of the tests: a new one in each run, said at its head, and given again with `--seed`.

The files are shuffled, and the tests within each file: what a file's fixtures hold is made once. Those that wait for
programs and servers come before those of single parts: a file goes to one worker whole, and a long one that begins
last has that worker alone at the end. All workers of a parallel run get the same seed, since each has to find the same
tests in the same order.
"""

import gc
import os
import random
from collections.abc import Iterable
from typing import Any

import pytest

from tests.thorough import THOROUGH

LONGEST_NAME = 40
SHORT = {"architecture", "docs", "unit"}  # folders below tests/ whose files take seconds


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="the order of the tests of the run that said so at its head")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.seed is None:
        config.option.seed = getattr(config, "workerinput", {}).get("seed") or random.randrange(1, 10**6)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_configure_node(node: Any) -> None:
    node.workerinput["seed"] = node.config.option.seed


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """Three for each core: more than half of the time a test waits, for a server or a program. Two where every search
    goes all the way, which is work."""
    return (2 if THOROUGH else 3) * len(os.sched_getaffinity(0))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long text may be a key, made anew by each worker, and all have to call a test by the same name."""
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST_NAME else None


def pytest_report_header(config: pytest.Config) -> str:
    return f"order of the tests: --seed {config.option.seed}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    if exitstatus:  # the head may be far above, or left out
        terminalreporter.write_line(pytest_report_header(config))


@pytest.hookimpl(tryfirst=True)  # pytest then puts those together that share a fixture with the same parameter
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items[:] = sorted(shuffled(items, config.option.seed), key=is_short)


def pytest_collection_finish() -> None:
    gc.freeze()  # ten thousand tests stay to the end: looking at them again takes the collector half a second


def is_short(item: pytest.Item) -> bool:
    return not SHORT.isdisjoint(item.nodeid.split("/", 2))


def shuffled(items: Iterable[pytest.Item], seed: int) -> list[pytest.Item]:
    by_file: dict[object, list[pytest.Item]] = {}
    for item in items:
        by_file.setdefault(item.path, []).append(item)
    chance = random.Random(seed)
    files = list(by_file.values())
    chance.shuffle(files)
    for tests in files:
        chance.shuffle(tests)
    return [item for tests in files for item in tests]
