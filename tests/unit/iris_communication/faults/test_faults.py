"""Whatever a server does wrong: no part of a file under its name, the right error, the right decision, and the rest of
the queue unharmed."""

import os

import pytest

from iris_communication.testing.faulty_servers import LosesTheRename
from iris_communication.testing.refusing_servers import PermissionLostInTheMiddle
from iris_communication.testing.spoiling_servers import LosesAWrite
from tests.unit.iris_communication.faults.page import PAGE, page
from tests.unit.iris_communication.faults.story import content_of, deliver
from tests.unit.iris_communication.faults.table import FAULTS, name_of


@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
def test_a_fault_leaves_no_file_partial_or_lost_and_the_right_one_pays(tmp_path, fault):
    ending = deliver(tmp_path, fault.make)
    assert ending.partial == set()
    errors = ending.errors[0]
    assert {type(error) for error in errors} == ({fault.error} if fault.error else set())
    assert all(fault.says in str(error) for error in errors), errors
    assert ending.events[0] == [fault.event] * fault.files
    assert tuple(sorted(ending.ends.values())) == fault.ends
    for number, end in ending.ends.items():
        name = b"/in/%d.csv" % number
        assert ending.arrived[name] == (content_of(number) if end == "delivered" else b""), name


def test_a_late_write_of_a_dead_session_changes_no_file_that_was_sent_again(tmp_path):
    ending = deliver(tmp_path, lambda now: LosesAWrite(), meanwhile=lambda server: server.late_write())
    assert set(ending.ends.values()) == {"delivered"}
    assert ending.partial == set()
    assert all(ending.arrived[b"/in/%d.csv" % number] == content_of(number) for number in ending.ends)


def test_a_late_rename_of_a_dead_session_delivers_its_file_once(tmp_path):
    made = []

    def make(now):
        made.append(LosesTheRename())
        return made[0]

    ending = deliver(tmp_path, make, meanwhile=lambda server: server.late_rename())
    assert set(ending.ends.values()) == {"delivered"}
    assert ending.partial == set()
    assert all(ending.arrived[b"/in/%d.csv" % number] == content_of(number) for number in ending.ends)
    assert made[0].names() == [b"%d.csv" % number for number in range(len(ending.ends))]


def test_a_permission_that_comes_back_is_used_at_the_next_attempt(tmp_path):
    def give_back(server):
        server.given_back = True

    ending = deliver(tmp_path, lambda now: PermissionLostInTheMiddle(3), meanwhile=give_back)
    assert set(ending.ends.values()) == {"delivered"}
    assert len(ending.errors) == 2


def test_the_page_says_what_the_table_says():
    """If not: UPDATE_DOCS=1 pytest tests/unit/iris_communication/faults."""
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()
