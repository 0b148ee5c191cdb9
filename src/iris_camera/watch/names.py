"""The names in a watched folder that count. A writer's temporary names are left out: it renames when it is done."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

TEMPORARY = (".*", "*~", "~*", "*.tmp", "*.temp", "*.part", "*.partial", "*.filepart", "*.crdownload", "*.swp")


@dataclass(frozen=True, slots=True)
class Names:
    """`patterns` are those of the shell; a name has to match one of them. Empty: every name."""

    patterns: tuple[str, ...] = ()

    def mean(self, name: str) -> bool:
        if any(fnmatchcase(name.lower(), pattern) for pattern in TEMPORARY):
            return False
        return not self.patterns or any(fnmatchcase(name, pattern) for pattern in self.patterns)
