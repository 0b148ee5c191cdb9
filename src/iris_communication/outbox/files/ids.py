"""How items are named: the time of acceptance in milliseconds and a token nobody can guess, so that a listing is in
order; of one file for several destinations the second and later ones have a number behind that name."""

import os


def sibling_id(item_id: str, number: int) -> str:
    """Of the first destination (number 0) it is the id itself."""
    return item_id if number == 0 else f"{item_id}.{number + 1}"


def first_id(item_id: str) -> str:
    return item_id.partition(".")[0]


def id_of_file(name: str) -> str:
    """Of a file in the spool; a name that is no UTF-8 is no item's, and must not stop the question."""
    return os.fsencode(name).decode("utf-8", "replace")
