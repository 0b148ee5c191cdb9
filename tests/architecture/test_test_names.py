"""A test's name is a sentence that begins with its subject: `test_unknown_files_in_the_folder_are_left_alone`.

A name that begins with what, it or where says nothing until its body is read.
"""

import re
from collections import Counter

from tests.architecture.tree import python_files, text_of

NO_SUBJECT = re.compile(
    "(?:after|at|before|beside|below|beyond|by|for|from|how|if|in|into|it|its|nobody|nothing|of|off|on|once|only|"
    "outside|over|that|there|to|until|what|whatever|when|whenever|where|wherever|whether|which|whichever|while|"
    "who|whoever|whose|why|with|within|without)_"
)
NAME = re.compile(r"^ *(?:async )?def test_(\w+)\(", re.MULTILINE)
NAMES = {path: NAME.findall(text_of(path)) for path in python_files("tests")}


def test_every_name_begins_with_its_subject():
    assert sum(map(len, NAMES.values())) > 3000
    assert [name for names in NAMES.values() for name in names if NO_SUBJECT.match(name)] == []


def test_each_name_stands_once_in_its_file():
    """The second of two would be run in place of the first."""
    twice = {path: [name for name, count in Counter(names).items() if count > 1] for path, names in NAMES.items()}
    assert {path: names for path, names in twice.items() if names} == {}
