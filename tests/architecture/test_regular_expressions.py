"""A regular expression that backtracks takes seconds for a hostile text, and holds the interpreter meanwhile: every
thread of the line waits. So each takes time in proportion to its text. That is shown by growth within one run, not by
seconds."""

import ast
import importlib
import re
import time
from itertools import product

import pytest

from iris_camera.logs import without_secrets
from iris_communication.plain_text import clean
from tests.architecture.tree import python_files, syntax_of, text_of
from tests.thorough import some

UNITS = [
    "://a:", "://a:b@", "://a:/b@<", "password=", "password:'", '"password": "', "authorization: ", "\\", '"', "'",
    '\\"', "=",
    "-----BEGIN PRIVATE KEY-----", "-----BEGIN A", "0", "12:", "a", "A ", " ", "\t", "\n", "\r\n", ":", "-", "_", ".",
    "/", ";", "(", "content-length: 1", "boundary=", 'boundary="', "boundary = ", "quota a ", "exceeded ",
    "Permissions ",
    "KnownHostsCommand ", "x:y():1 ", "Permission denied ", "banner line 1", " port 1", "[Errno 1", "Mon, ", "\x1b[2J",
]  # fmt: skip
BEGINNINGS = ["", "content-length:", 'realm="', "Offering public key: ", "Mon"]
ALONE, WITH_BEGINNINGS = tuple(product([""], UNITS)), tuple(product(BEGINNINGS, UNITS))
ENDING = "~"  # makes a match of the whole fail, which takes longest
SHORT, LONG = 1_000, 4_000  # characters
GROWTH_MAX = (LONG / SHORT) ** 1.5  # half way between linear and quadratic
TOO_SHORT_TO_JUDGE_S = 0.002
MEGABYTE = 1_000_000
IN_A_CALL = re.compile(r"\bre\.(?!compile|escape)[a-z]+\(")


def expressions():
    """Every expression of both packages: those that a module keeps, alone or in a tuple, and those that stand in a
    call."""
    for path in python_files("src"):
        module = ".".join(path.with_suffix("").parts[1:]).removesuffix(".__init__")
        for name, value in vars(importlib.import_module(module)).items():
            for each in value if type(value) is tuple else (value,):
                # A kind of failure holds the pattern of its line.
                pattern = each if isinstance(each, re.Pattern) else getattr(each, "pattern", None)
                if isinstance(pattern, re.Pattern):
                    yield f"{module}.{name}", pattern
        if not IN_A_CALL.search(text_of(path)):  # reading the syntax of all takes seconds, of each worker
            continue
        for call in ast.walk(syntax_of(path)):
            match call:
                case ast.Call(ast.Attribute(ast.Name("re"), name), [ast.Constant(written), *_]) if name != "compile":
                    yield f"{module}:{call.lineno}", re.compile(written)


def timed(search, text):
    began_s = time.thread_time()
    search(text)
    return time.thread_time() - began_s


def growths(search, texts):
    """By how much the time grew, for each hostile text that takes any."""
    for beginning, unit in texts:
        short, long = (beginning + unit * (length // len(unit)) + ENDING for length in (SHORT, LONG))
        if timed(search, long) > TOO_SHORT_TO_JUDGE_S:
            long_s = min(timed(search, long) for _ in range(3))
            if long_s > TOO_SHORT_TO_JUDGE_S:
                yield (beginning, unit), long_s / min(timed(search, short) for _ in range(3))


EXPRESSIONS = {pattern: place for place, pattern in expressions()}  # each once, wherever it is imported
SOURCE = "\n".join(text_of(path) for path in python_files("src"))


@pytest.mark.parametrize("pattern", EXPRESSIONS, ids=EXPRESSIONS.values())
def test_an_expression_takes_time_in_proportion_to_its_text(pattern):
    name = EXPRESSIONS[pattern].rpartition(".")[2]
    looks_at_one_place_only = re.search(rf"\b{name}\.(full)?match\(", SOURCE) is not None

    def search(text):
        given = text if isinstance(pattern.pattern, str) else text.encode()
        pattern.fullmatch(given)
        pattern.match(given)
        if not looks_at_one_place_only:
            pattern.sub(given[:0], given)

    assert {text: growth for text, growth in growths(search, some(WITH_BEGINNINGS)) if growth > GROWTH_MAX} == {}


def test_an_expression_of_quadratic_time_is_found():
    pattern = re.compile(r"exceeded .*quota")
    assert any(growth > GROWTH_MAX for _, growth in growths(lambda text: pattern.search(text * 4), ALONE))


@pytest.mark.parametrize("search", [without_secrets, clean], ids=["secrets", "clean"])
def test_an_expression_that_every_line_passes_through_takes_time_in_proportion_to_it(search):
    assert {text: growth for text, growth in growths(search, ALONE) if growth > GROWTH_MAX} == {}


@pytest.mark.parametrize("unit", UNITS)
def test_secrets_are_searched_in_a_megabyte_without_reading_all_of_it(unit):
    megabyte = unit * (MEGABYTE // len(unit))
    assert timed(without_secrets, megabyte) < 100 * max(timed(without_secrets, megabyte[:64_000]), 0.01)
