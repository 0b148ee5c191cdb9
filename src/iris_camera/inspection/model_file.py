"""What kind of file was given as a model, by its bytes; and whether an ONNX file is complete.

Most files that do not load are no models at all: a web page with "log in first", a pointer to a large file that was
never fetched, a model of another program, the first half of a download. Their bytes show that, better than the error of
a parser for another format.
"""

import os
from pathlib import Path
from typing import BinaryIO

_BEGINNING_BYTES = 512
_SHOWN = 24

_EXPORT = "export it to ONNX"
_BEGINNINGS = (
    ((b"<!doctype html", b"<html"), "an HTML page: what gave the file answered with a page; download it again"),
    ((b"version https://git-lfs",), "a pointer of Git LFS, not the file itself: `git lfs pull` fetches that"),
    ((b"pk\x03\x04",), f"a zip archive, as PyTorch and Keras save models: {_EXPORT}"),
    ((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), f"a Python pickle, as PyTorch saves models: {_EXPORT}"),
    ((b"\x89hdf",), f"HDF5, as Keras saves models: {_EXPORT}"),
    ((b"ftrt", b"ptrt"), "an engine of TensorRT, which is built for one machine: give the ONNX file it was made from"),
    ((b"gguf",), "a language model (GGUF)"),
    ((b"7767517",), f"the description of an ncnn model: {_EXPORT}"),
    ((b"\x1f\x8b", b"bzh", b"\xfd7zxz", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf"), "compressed: unpack it"),
    ((b"\x7felf",), "a program or library"),
    ((b"%pdf", b"\xff\xd8\xff", b"\x89png", b"gif8", b"riff"), "a document or picture"),
)
_AT_4 = {b"TFL3": f"a model of TensorFlow Lite: {_EXPORT}", b"ftyp": "a film or picture"}
_FIELDS = 1 << 29  # the numbers that fields may have
_VARINT, _LENGTH, _FIXED = 0, 2, {1: 8, 5: 4}


def what_it_is(path: Path) -> str | None:
    """The kind of a file that is no ONNX model, as the rest of "it is ..."; None when it may be one. Raises OSError."""
    if what := no_model(path):
        return what
    with path.open("rb") as file:
        if file.read(_BEGINNING_BYTES).lstrip().startswith(b"<"):
            return f"XML, as OpenVINO describes its models: {_EXPORT}"
        return _wrong_protobuf(file, path.stat().st_size)


def no_model(path: Path) -> str | None:
    """The same of a file that is neither ONNX nor XML. Raises OSError."""
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING_BYTES)
    if not beginning:
        return "empty"
    if known := _known(beginning):
        return known
    if not beginning.strip(b"\0"):
        return "zeros: its bytes were never written"
    if _is_text(beginning) and not beginning.lstrip().startswith(b"<"):
        return f'text, which begins "{beginning[:_SHOWN].decode(errors="replace").strip()}"'
    return None


def _known(beginning: bytes) -> str | None:
    lowered = beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signs, text in _BEGINNINGS:
        if lowered.startswith(signs):
            return text
    if beginning[8:10] == b'{"' and beginning[3:8] == bytes(5):
        return f"weights without a model (safetensors): {_EXPORT}"
    return _AT_4.get(beginning[4:8])


def _is_text(beginning: bytes) -> bool:
    try:
        text = beginning[: len(beginning) - 4 if len(beginning) == _BEGINNING_BYTES else None].decode()
    except UnicodeDecodeError:
        return False
    return text.replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable()


def _wrong_protobuf(file: BinaryIO, size: int) -> str | None:
    """Walk the fields of the outermost message; the runtime checks what is inside them."""
    file.seek(0)
    fields = 0
    while (place := file.tell()) < size:
        tag = _varint(file)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < _FIELDS or kind not in {_VARINT, _LENGTH, *_FIXED}:
            return "no ONNX file" if fields == 0 else f"damaged from byte {place} on"
        step = _FIXED.get(kind, 0)
        if kind == _VARINT:
            _varint(file)
        elif kind == _LENGTH:
            step = _varint(file)
        missing = file.tell() + step - size
        if missing > 0:
            return f"cut off: {missing} bytes or more are missing" if fields else "no ONNX file"
        file.seek(step, os.SEEK_CUR)
        fields += 1
    return None


def _varint(file: BinaryIO) -> int:
    """The number; one larger than any file's length when the file ends before."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return 1 << 62
