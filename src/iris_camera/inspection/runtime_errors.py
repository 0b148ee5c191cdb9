"""onnxruntime's errors in plain English: its own texts begin with a line of its source and end in C++."""

import logging
import re
from collections.abc import Callable

import onnxruntime

from iris_communication.plain_text import PEER_TEXT_MAX, clean

log = logging.getLogger(__name__)

_RUNTIME = f"the installed onnxruntime {onnxruntime.__version__}"
_OLDER = "install a newer onnxruntime, or export the model for an older one"

_Known = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]
# Each is searched once, from the start; none has two repetitions that could share a character.
_LOADING: tuple[_Known, ...] = (
    (
        re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)"),
        lambda found: f"it is of ONNX IR version {found[1]}, and {_RUNTIME} reads up to {found[2]}: {_OLDER}",
    ),
    (
        re.compile(r"Opset (\d+) is under development .{0,300}?till opset (\d+)", re.DOTALL),
        lambda found: f"it is of ONNX opset {found[1]}, and {_RUNTIME} reads up to {found[2]}: {_OLDER}",
    ),
    (
        re.compile(r"No Op registered for (\S{1,100}) with domain_version of (\d+)"),
        lambda found: f"it uses the operator {found[1]}, which {_RUNTIME} does not know in opset {found[2]}",
    ),
    (
        re.compile(r"(\S{1,100})\(-?\d+\) is not a registered function/op"),
        lambda found: f"it uses the operator {found[1]}, which {_RUNTIME} does not know",
    ),
    (
        re.compile(r"Could not find an implementation for (\S{1,100})\((\d+)\)"),
        lambda found: f"it uses the operator {found[1]}, which {_RUNTIME} cannot run here",
    ),
    (
        re.compile(r'External data path does not exist: "?([^"\n]{1,4096})'),
        lambda found: f"its weights are in a file of their own, which is not there: {found[1].strip()}",
    ),
    (re.compile(r"External data"), lambda _: "its weights are in a file of their own, which cannot be used"),
    (re.compile(r"No graph was found"), lambda _: "there is no model in it"),
    (re.compile(r"Protobuf parsing failed"), lambda _: "it is damaged, or no ONNX file"),
)
_RUNNING: tuple[_Known, ...] = (
    (
        re.compile(r"allocate memory for requested buffer of size (\d+)"),
        lambda found: f"it wanted {int(found[1]):,} bytes of memory",
    ),
    (re.compile(r"bad_alloc|bad allocation"), lambda _: "it wanted more memory than there is"),
    (
        re.compile(r"while running (\S{1,100}) node\. Name:'([^'\n]{0,200})"),
        lambda found: f"its operator {found[1]} ({found[2] or 'without a name'}) failed",
    ),
    (
        re.compile(r"Got invalid dimensions for input: (\S{1,100})"),
        lambda found: f"its input {found[1]} is of another size",
    ),
)


def why_not_loaded(error: Exception) -> str:
    """The reason, as a sentence without its end."""
    return _explained(error, _LOADING) or f"it refuses the model ({type(error).__name__})"


def why_failed(error: Exception) -> str:
    return _explained(error, _RUNNING) or f"onnxruntime failed ({type(error).__name__})"


def _explained(error: Exception, known: tuple[_Known, ...]) -> str | None:
    text = str(error)
    log.debug("onnxruntime says: %s", text)
    for pattern, explanation in known:
        if found := pattern.search(text):
            return clean(explanation(found), PEER_TEXT_MAX)
    return None
