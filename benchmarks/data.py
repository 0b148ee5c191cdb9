"""The files every client carries, and the proof that they arrived.

Records as a camera writes them: CSV text of 2 to 20 KB, made from a seed, so that each run and each client has the
same bytes; and one large file. A row of the table counts only if what lies on the server afterwards is exactly that.
"""

import hashlib
import random
from pathlib import Path
from typing import NamedTuple

SIZE_BYTES_MIN = 2_000
SIZE_BYTES_MAX = 20_000
PIECE_BYTES = 1 << 20


class SizeAndHash(NamedTuple):
    size_bytes: int
    sha256: str


Files = dict[str, SizeAndHash]


def make_csvs(folder: Path, count: int, seed: int) -> Files:
    """Write `count` files into `folder`, and return what they are by name."""
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    for number in range(count):
        size_bytes = chance.randint(SIZE_BYTES_MIN, SIZE_BYTES_MAX)
        lines = ["schema_version,frame,utc,monotonic_s,part_id,x_px,y_px,width_px,height_px,score\n"]
        length = len(lines[0])
        frame = chance.randrange(1_000_000)
        while length < size_bytes:
            frame += 1
            x, y = chance.uniform(0, 1280), chance.uniform(0, 720)
            box = f"{x:.2f},{y:.2f},{chance.uniform(20, 90):.2f},{chance.uniform(20, 90):.2f}"
            utc = f"2026-11-23T21:{frame // 1500 % 60:02d}:{frame // 25 % 60:02d}.{frame % 25 * 40:03d}Z"
            lines.append(f"1,{frame},{utc},{frame / 25:.6f},{frame // 40},{box},{chance.random():.4f}\n")
            length += len(lines[-1])
        name = f"line-1_model_20261123T210533.123Z_{seed:08x}_{number + 1:06d}.csv"
        (folder / name).write_text("".join(lines)[:size_bytes])
    return files_in(folder)


def make_large(folder: Path, size_bytes: int, seed: int) -> Files:
    """Write one file of so many bytes that no compression makes smaller."""
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    with (folder / "film.bin").open("wb") as file:
        for begun_bytes in range(0, size_bytes, PIECE_BYTES):
            file.write(chance.randbytes(min(PIECE_BYTES, size_bytes - begun_bytes)))
    return files_in(folder)


def files_in(folder: Path) -> Files:
    """Every file below the folder, by its name alone: clients may choose folders of their own."""
    found: Files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.name if path.name not in found else str(path)
            with path.open("rb") as content:
                sha256 = hashlib.file_digest(content, "sha256").hexdigest()
            found[name] = SizeAndHash(path.stat().st_size, sha256)
    return found


def difference(sent: Files, arrived: Files) -> str | None:
    """What is wrong with what arrived, as a short text; None if it is exactly what was sent."""
    missing = sent.keys() - arrived.keys()
    extra = arrived.keys() - sent.keys()
    changed = [name for name in sent.keys() & arrived.keys() if sent[name] != arrived[name]]
    if not (missing or extra or changed):
        return None
    return f"{len(missing)} files missing, {len(changed)} changed, {len(extra)} extra"
