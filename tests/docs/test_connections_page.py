"""docs/connections.md names every error of connecting, and what becomes of it is what that error says."""

import re
from pathlib import Path

import pytest

from iris_communication import errors
from iris_communication.decisions.patience import SLOW_TIMES
from iris_communication.errors import Retry, Scope
from iris_communication.settings import DeliverySettings, Server
from iris_communication.transport.contract import KEEPALIVES_LOST, keepalive_s

PAGE = (Path(__file__).parents[2] / "docs" / "connections.md").read_text()
ROWS = [line.split("|")[1:4] for line in PAGE.splitlines() if re.match(r"\| `[A-Z]\w+Error`|\| `[A-Z]\w+`", line)]
NAMED = [(name, row[2]) for row in ROWS for name in re.findall(r"`(\w+)`", row[0])]
OF_CONNECTING = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.IrisError) and kind.scope in (Scope.LINK, Scope.SERVER)
}


def test_every_error_of_connecting_is_there():
    not_of_connecting = {"RemoteDiskFull", "ServerUnresolved", "DeliveryStopped"}
    assert {name for name, _ in NAMED} == OF_CONNECTING - not_of_connecting


@pytest.mark.parametrize(("name", "reaction"), NAMED)
def test_the_page_says_of_an_error_what_iris_does_with_it(name, reaction):
    assert ("waits for a person" in reaction) == (getattr(errors, name).retry is Retry.AFTER_OPERATOR)


def test_the_figures_are_those_of_the_settings():
    delivery = DeliverySettings()
    assert f"`connect_timeout_s` ({delivery.connect_timeout_s:.0f} s)" in PAGE
    assert f"`progress_timeout_s` ({delivery.progress_timeout_s:.0f} s)" in PAGE
    assert f"`idle_close_s` ({delivery.idle_close_s:.0f} s)" in PAGE
    assert f"`connections_max` ({Server('h', 'u').connections_max};" in PAGE
    assert f"keep-alive, every {keepalive_s(delivery)} s" in PAGE
    assert keepalive_s(delivery) * (KEEPALIVES_LOST + 1) == delivery.progress_timeout_s
    assert f"{SLOW_TIMES} times `progress_timeout_s`" in PAGE
