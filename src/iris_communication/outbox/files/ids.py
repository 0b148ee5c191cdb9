"""Item ids: the time of acceptance in milliseconds and a token nobody can guess, so that a listing is in order. When
one file goes to several destinations, the ids of the second and later items have a number behind that."""

import os


def sibling_id(item_id: str, number: int) -> str:
    """The id for destination `number`; for the first one (0) it is `item_id` itself."""
    return item_id if number == 0 else f"{item_id}.{number + 1}"


def first_id(item_id: str) -> str:
    return item_id.partition(".")[0]


def id_of_file(name: str) -> str:
    """The item id of a spool file. A name that is not UTF-8 belongs to no item, and must not raise here."""
    return os.fsencode(name).decode("utf-8", "replace")
