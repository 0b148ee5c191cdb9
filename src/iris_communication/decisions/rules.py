"""What the configuration says about one file: rules by folder type and file name, and who has the word on a retry.

Rules are read in their order and a rule need not say everything: for each fact the first rule that matches and
states it counts, so a general rule at the end fills what the special ones before it leave open. What makes a batch is
one fact: its limits are those of the rule that asked for it.

The word on how often a file is tried goes from the near to the far: its rule, its server, the delivery settings.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from iris_communication.decisions.retry import Retrying
from iris_communication.settings import DeliverySettings, Rule, Server

ALONE = ("priority", "ttl_s", "attempts_max", "retry_base_s", "retry_cap_s", "after_delivery", "move_to")
BATCH = ("batch", "batch_files_max", "batch_bytes_max", "batch_wait_s")


def facts(rules: Iterable[Rule], folder_type: str, file_name: str) -> Rule:
    """One rule for this file: each fact from the first matching rule that states it, None (or the default) where none
    does. `file_name` is the last component of the path; both patterns are case-sensitive on every system."""
    stated: dict[str, Any] = {}
    for rule in rules:
        if fnmatchcase(folder_type, rule.folder_type) and fnmatchcase(file_name, rule.pattern):
            stated = {**_said(rule), **stated}
    return Rule(**stated)


def _said(rule: Rule) -> Mapping[str, Any]:
    said = {name: value for name in ALONE if (value := getattr(rule, name)) is not None}
    if rule.batch is not None:
        said.update((name, getattr(rule, name)) for name in BATCH)
    return said


def retrying(server: Server | None, rule: Rule, settings: DeliverySettings) -> Retrying:
    """How a file of this rule is tried on this server (None: its address is not on record)."""

    def word(name: str) -> Any:
        for source in (rule, server):
            if (value := getattr(source, name, None)) is not None:
                return value
        return getattr(settings, name)

    return Retrying(word("attempts_max"), word("retry_base_s"), word("retry_cap_s"))
