"""The order of the tests: a new one in each run, said at its head, and given again with `--seed`.

The files are shuffled, and the tests within each file: what a file's fixtures hold is made once. All workers of a
parallel run get the same seed, since each has to find the same tests in the same order.
"""

import random
from collections.abc import Iterable
from typing import Any

import pytest

LONGEST_NAME = 40


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="the order of the tests of the run that said so at its head")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.seed is None:
        config.option.seed = getattr(config, "workerinput", {}).get("seed") or random.randrange(1, 10**6)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_configure_node(node: Any) -> None:
    node.workerinput["seed"] = node.config.option.seed


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
    items[:] = shuffled(items, config.option.seed)


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
