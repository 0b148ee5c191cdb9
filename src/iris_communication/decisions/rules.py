"""What the configuration says about one file: rules by folder type and file name, and how it is retried.

Rules are read in their order, and a rule need not state every fact: for each fact the first matching rule that states
it counts, so a general rule at the end supplies what the special ones before it leave open. A batch is one fact: its
limits are those of the rule that asked for it.

How often a file is tried is taken from the first that states it: its rule, its server, the delivery settings.
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
            stated = {**_facts_of(rule), **stated}
    return Rule(**stated)


def _facts_of(rule: Rule) -> Mapping[str, Any]:
    stated = {name: value for name in ALONE if (value := getattr(rule, name)) is not None}
    if rule.batch is not None:
        stated.update((name, getattr(rule, name)) for name in BATCH)
    return stated


def retrying(server: Server | None, rule: Rule, settings: DeliverySettings) -> Retrying:
    """How a file of this rule is tried on this server (None: its address is not stored)."""

    def setting(name: str) -> Any:
        for source in (rule, server):
            if (value := getattr(source, name, None)) is not None:
                return value
        return getattr(settings, name)

    return Retrying(setting("attempts_max"), setting("retry_base_s"), setting("retry_cap_s"))
