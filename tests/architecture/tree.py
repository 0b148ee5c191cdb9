"""The files of this project as git sees them: committed, staged or new, but not ignored."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def project_files() -> tuple[Path, ...]:
    """Relative to ROOT. A file git still lists but that is gone from the disk is left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout.decode()
    names = sorted({name for name in listed.split("\0") if name})
    return tuple(Path(name) for name in names if (ROOT / name).is_file())


def text_of(path: Path) -> str:
    """Empty for what is no text: pictures, models."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def python_files(below: str = "") -> tuple[Path, ...]:
    return tuple(path for path in project_files() if path.suffix == ".py" and path.is_relative_to(below))


@cache
def syntax_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path), filename=str(path))
