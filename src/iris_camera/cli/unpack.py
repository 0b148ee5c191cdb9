"""`iris unpack`: takes an archive that arrived apart into its files."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from iris_camera.cli.outbox import EXIT_CANNOT_LOOK, EXIT_WRONG, AsJson, json_text
from iris_camera.cli.terminal import complain, say
from iris_communication.archive.unpack import ArchiveBroken, Unpacked, verify
from iris_communication.archive.unpack import unpack as unpack_archive
from iris_communication.errors import IrisError
from iris_communication.runtime.amounts import counted, size


def unpack(
    archives: Annotated[
        list[Path], typer.Argument(metavar="ARCHIVE...", help="ZIP or tar.gz archives, as they arrived.")
    ],
    into: Annotated[
        Path, typer.Option("--into", metavar="DIR", help="The folder for the files; created if missing.")
    ] = Path(),
    verify_only: Annotated[bool, typer.Option("--verify-only", help="Write nothing.")] = False,
    json: AsJson = False,
) -> None:
    """Verify archives against their manifests (every file, every byte), and unpack them.

    An archive that is damaged is not unpacked at all. A file that is there already is left as it is; where another one
    has its name, it takes the name it would have had on the server by itself.
    Exit status 0 if all is well, 1 if an archive is damaged, 2 if one cannot be read or a folder not be written.
    """
    statuses = [_one(archive, None if verify_only else into, json=json) for archive in archives]
    raise typer.Exit(max(statuses))


def _one(archive: Path, into: Path | None, *, json: bool) -> int:
    try:
        facts = _verified(archive) if into is None else _unpacked(archive, into)
    except ArchiveBroken as error:
        return _failed(archive, error, EXIT_WRONG, json=json)
    except (IrisError, OSError) as error:
        return _failed(archive, error, EXIT_CANNOT_LOOK, json=json)
    for line in [json_text(facts)] if json else _sentences(facts):
        say(line)
    return 0


def _verified(archive: Path) -> dict[str, Any]:
    manifest = verify(archive)
    facts = {"batch": manifest.batch, "files": len(manifest.members), "size_bytes": manifest.size_bytes}
    return {"archive": str(archive), "whole": True, **facts}


def _unpacked(archive: Path, into: Path) -> dict[str, Any]:
    unpacked = unpack_archive(archive, into)
    how = Counter(each.how for each in unpacked)
    return {
        "archive": str(archive),
        "whole": True,
        "into": str(into),
        "files": len(unpacked),
        "written": how["written"],
        "already_there": how["already there"],
        "renamed": {each.member.name: each.path.name for each in unpacked if _is_renamed(each)},
    }


def _is_renamed(unpacked: Unpacked) -> bool:
    return unpacked.path.name != unpacked.member.name


def _sentences(facts: dict[str, Any]) -> list[str]:
    files = counted(facts["files"], "file")
    if "into" not in facts:
        return [f"{facts['archive']}: {files} of {size(facts['size_bytes'])}, every one as its manifest says"]
    text = f"{facts['archive']}: {files} in {facts['into']}"
    if facts["already_there"]:
        text += f", {facts['already_there']} of them there already"
    return [text, *(f"  {name} is {found}" for name, found in facts["renamed"].items())]


def _failed(archive: Path, error: IrisError | OSError, status: int, *, json: bool) -> int:
    if isinstance(error, IrisError):
        what, hint = str(error), error.hint
    else:
        what, hint = f"{archive} cannot be read: {error.strerror}", "check the path and its permissions"
    if json:
        say(json_text({"archive": str(archive), "whole": False if status == EXIT_WRONG else None, "error": what}))
    else:
        complain(f"iris unpack: {what}: {hint}")
    return status
