"""A value as TOML writes it."""

import json
from typing import Any

GROUPED_FROM = 100_000  # beyond, digits are grouped: 1_000_000


def as_toml(value: Any) -> str:
    """Of texts, numbers, truth values, and lists and tables of them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:_}" if value >= GROUPED_FROM else str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {as_toml(inner)}' for name, inner in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)
