"""What a server's answers mean for deliveries: findings in, sentences out."""

from enum import Enum
from typing import NamedTuple

from iris_communication.runtime.amounts import files
from iris_communication.settings import Server
from iris_communication.sftp.trials.trial import OPEN_FILES, Findings


class Weight(Enum):
    WELL = "well"
    NOTE = "note"  # something is missing, and files arrive all the same
    TROUBLE = "trouble"  # as it is set, no file or not every file arrives


class Sentence(NamedTuple):
    weight: Weight
    text: str


def sentences(found: Findings, server: Server) -> list[Sentence]:
    """The worst first."""
    unsorted = [*_arriving(found, server), *_names(found, server), *_besides(found, server)]
    order = list(Weight)[::-1]
    return sorted(unsorted, key=lambda sentence: order.index(sentence.weight))


def _arriving(found: Findings, server: Server) -> list[Sentence]:
    where = found.folder.decode("utf-8", "backslashreplace")
    refused = found.refused
    for step, doing in (("create", "create a file in"), ("write", "write to a file in")):
        if text := refused.get(step):
            return [Sentence(Weight.TROUBLE, f"It does not let us {doing} {where} ({text}): nothing can be delivered.")]
    if (text := refused.get("hidden names")) and not server.in_place:
        usual = found.usual_name.decode("utf-8", "backslashreplace")
        fact = f"It lets us create {usual}, and no hidden name that begins with .iris- ({text})"
        return [Sentence(Weight.TROUBLE, f"{fact}: set in_place = true, or nothing is delivered.")]
    if text := refused.get("new folder"):
        return [Sentence(Weight.TROUBLE, f"A file for a folder that has yet to be made does not arrive: {text}.")]
    if not (text := refused.get("rename") or refused.get("hidden names")):
        return [Sentence(Weight.WELL, "Files are written under a hidden name and appear whole, by a rename.")]
    if server.in_place:
        return [Sentence(Weight.NOTE, "Files are written in place (in_place = true): who looks may see a part.")]
    return [Sentence(Weight.TROUBLE, f"It cannot rename ({text}): set in_place = true, or nothing is delivered.")]


def _names(found: Findings, server: Server) -> list[Sentence]:
    lines = []
    if found.replaces:
        lines.append(
            Sentence(Weight.NOTE, "A rename silently replaces an existing file: Iris checks first, file by file.")
        )
    if found.replaces is False:
        lines.append(Sentence(Weight.WELL, "A name that is taken is refused: nothing is overwritten by accident."))
    if "replace in one step" in found.refused and (server.conflict == "overwrite" or server.marker):
        lines.append(
            Sentence(Weight.NOTE, "It replaces a file in two steps: for a moment there is none under its name.")
        )
    return lines


_MISSING = (
    (
        "look",
        Weight.NOTE,
        "Looking at files is forbidden: under `rename` a file that is there already is sent once more.",
    ),
    (
        "read",
        Weight.NOTE,
        "Reading is forbidden: `iris ledger verify --remote --hash` cannot compare, nothing is resumed.",
    ),
    (
        "resume",
        Weight.NOTE,
        "A file that exists cannot be written on: a large one that was cut off is sent again from the start.",
    ),
    ("remove", Weight.NOTE, "Nothing may be removed: hidden files of attempts that came to nothing stay."),
    ("folders", Weight.NOTE, "No folder may be made: those of remote_path have to be there."),
    ("free space", Weight.NOTE, "It does not report its free space: a full disk is noticed by the first refused file."),
)


def _besides(found: Findings, server: Server) -> list[Sentence]:
    lines = [
        Sentence(weight, f"{text} ({found.refused[step]})") for step, weight, text in _MISSING if step in found.refused
    ]
    if "attributes" in found.refused:
        text = f"Permissions and times cannot be set ({found.refused['attributes']})"
        wanted = bool(server.file_mode or server.keep_times)
        lines.append(
            Sentence(Weight.NOTE, f"{text}: file_mode and keep_times have no effect." if wanted else f"{text}.")
        )
    if found.quirks.refuses_exclusive:
        lines.append(
            Sentence(Weight.NOTE, "It does not know OPENs of new files alone (EXCL): Iris makes files without.")
        )
    if found.open_files:
        many = f"{OPEN_FILES} and more files" if found.open_files >= OPEN_FILES else files(found.open_files)
        lines.append(Sentence(Weight.WELL, f"It holds {many} open at once."))
    if found.left:
        left = ", ".join(path.decode("utf-8", "backslashreplace") for path in found.left)
        lines.append(Sentence(Weight.NOTE, f"What this trial has left there has to be removed by hand: {left}"))
    return lines
