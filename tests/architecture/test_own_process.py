"""State that a whole process shares is changed in a child process, and a failure there fails the test."""

import ast
import os
import sys
import threading

import pytest

from tests.architecture.tree import python_files, syntax_of, text_of
from tests.own_process import in_a_process_of_its_own

CHANGES_THE_PROCESS = {
    "alarm",
    "chdir",
    "closerange",
    "files_no_larger_than",
    "listening_to_signals",
    "nice",
    "setitimer",
    "setpriority",
    "setrlimit",
    "signal",
    "tzset",
    "umask",
}
ALLOWED = {"monkeypatch.chdir"}  # it is put back, whatever happens


@in_a_process_of_its_own
def is_another_process(mine):
    assert os.getpid() != mine
    os.umask(0o777)


@in_a_process_of_its_own
def raises(text):
    raise ValueError(text)


@in_a_process_of_its_own
def fails_in_a_thread():
    thread = threading.Thread(target=raises.__wrapped__, args=("unheard",))
    thread.start()
    thread.join()


@in_a_process_of_its_own
def exits(status):
    sys.exit(status)


def test_a_function_runs_in_the_child_process_with_its_arguments():
    is_another_process(mine=os.getpid())


def test_a_failure_in_the_child_process_is_the_tests_with_its_message_and_its_place():
    with pytest.raises(AssertionError, match=r"in raises\n(.*\n)*ValueError: out of paper"):
        raises(text="out of paper")


def test_a_failure_in_a_thread_of_the_child_process_is_the_tests():
    with pytest.raises(AssertionError, match="unheard"):
        fails_in_a_thread()


def test_a_process_that_ends_early_is_a_failure():
    with pytest.raises(AssertionError, match="status 3"):
        exits(status=3)


def changes_in(node, *, apart=False):
    """Lines that change the process outside a function that runs in a child process."""
    if isinstance(node, ast.FunctionDef):
        apart = apart or any(ast.unparse(each) == in_a_process_of_its_own.__name__ for each in node.decorator_list)
    if isinstance(node, ast.Call) and not apart:
        name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
        if name in CHANGES_THE_PROCESS and ast.unparse(node.func) not in ALLOWED:
            yield node.lineno
    for inner in ast.iter_child_nodes(node):
        yield from changes_in(inner, apart=apart)


def test_no_test_changes_the_process_that_it_shares_with_others():
    found = [
        f"{path}:{number}"
        for path in python_files("tests")
        if path.name.startswith("test_") and any(f"{name}(" in text_of(path) for name in CHANGES_THE_PROCESS)
        for number in changes_in(syntax_of(path))
    ]
    assert found == []


@pytest.mark.parametrize("change", ["os.umask(0)", "resource.setrlimit(1, (1, 1))", "signal.signal(2, f)", "tzset()"])
def test_a_change_of_the_process_is_found_wherever_it_stands(change):
    inside = f"def test_a(tmp_path):\n    with x as y:\n        {change}\n"
    assert list(changes_in(ast.parse(inside))) == [3]
    assert list(changes_in(ast.parse(f"@in_a_process_of_its_own\n{inside}"))) == []
