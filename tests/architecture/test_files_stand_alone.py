"""No file may depend on the machine it was written on, nor on one package registry."""

import re
from pathlib import Path

from tests.architecture.tree import ROOT, project_files, text_of

# Put together from pieces, so that this file does not hold what it forbids.
REGISTRY_ADDRESSES = re.compile(
    "|".join(
        [
            "--(?:extra-)?" + "index-url",
            "--find" + "-links",
            r"pypi\." + "org",
            r"python" + r"hosted\.org",
            r"deb\." + r"debian\.org",
            r"registry\." + r"npm",
            r"conda\.ana" + r"conda\.org",
        ]
    ),
    re.IGNORECASE,
)
HOMES = re.compile("/(?:" + "home|Users" + r")/[A-Za-z][\w.-]*/|/" + r"root/[\w.]")


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {found[0]}"
        for path in project_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if (found := pattern.search(line))
    ]


def absolute_paths_of_this_machine() -> re.Pattern[str]:
    """This checkout and this user's home, unless a path so short that it could mean anything ("/app")."""
    here = [place for place in (ROOT, Path.home()) if len(place.parts) > 2]
    return re.compile("|".join([HOMES.pattern, *(re.escape(str(place)) + r"\b" for place in here)]))


def test_no_file_holds_the_address_of_a_package_registry():
    assert lines_with(REGISTRY_ADDRESSES) == []


def test_no_file_holds_a_path_of_a_home_or_of_this_checkout():
    assert lines_with(absolute_paths_of_this_machine()) == []


def test_the_patterns_find_their_examples():
    assert REGISTRY_ADDRESSES.search("https://" + "pypi" + ".org/simple")
    assert REGISTRY_ADDRESSES.search("pip install --index" + "-url=x")
    assert absolute_paths_of_this_machine().search("cd /ho" + "me/ann/iris")
    assert not absolute_paths_of_this_machine().search("https://example.org/home/page")
