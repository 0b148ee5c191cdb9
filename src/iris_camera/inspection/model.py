"""A trained model, run by onnxruntime: its inputs, its outputs, and its errors in plain text.

Two things go wrong with models in the field, and both show late and far from their cause: the file is not the one
that was meant, and the runtime takes every core. So all that a file declares is read when it is loaded, and its user
compares that with what it expects; and a session gets a fixed number of threads, one by default, which sleep when there
is nothing to do: by default onnxruntime spins, which takes a core from the capture and delivery threads.

Every exception of the runtime while it runs, lack of memory included, becomes a ModelError: the one class that the
inspection thread counts and restarts for, with the runtime's own error as its cause.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime

from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.model_file import what_it_is
from iris_camera.inspection.runtime_errors import why_failed, why_not_loaded
from iris_communication.plain_text import PEER_NAME_MAX, clean

WEIGHTS = Path(__file__).with_name("weights")
CPU = "CPUExecutionProvider"
Shape = tuple[int | None, ...]
Numbers = npt.NDArray[Any]
_SUFFIX = "ExecutionProvider"


@dataclass(frozen=True, slots=True)
class Running:
    """On what a model runs: an execution provider of onnxruntime's, and how many threads."""

    provider: str = CPU
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output as the file declares it; None in `shape` is any size."""

    name: str
    type: str
    shape: Shape

    def __str__(self) -> str:
        return f"{clean(self.name, PEER_NAME_MAX)} {clean(self.type, PEER_NAME_MAX)} {described(self.shape)}"


class Model:
    """An ONNX file with one input, loaded. `provider` is the one that really runs.

    Raises ModelError when the file is missing, does not load, has not exactly one input, or the provider is not one
    of the installed onnxruntime's.
    """

    def __init__(self, path: Path, running: Running | None = None) -> None:
        running = running or Running()
        self.path = path
        try:
            is_there = path.is_file()
        except OSError as error:  # a folder above it that this user may not enter
            raise ModelError(f"{path} cannot be examined: {error.strerror}") from error
        if not is_there:
            raise ModelError(f"there is no model at {path}: give the path of an .onnx file")
        provider = available_provider(running.provider)
        providers = [provider] if provider == CPU else [provider, CPU]  # the CPU for what the other cannot do
        try:
            self._session = onnxruntime.InferenceSession(path, session_options(running.threads), providers=providers)
        except Exception as error:  # the file is untrusted, and the runtime's errors share no other base
            why = _what_it_is(path) or why_not_loaded(error)
            raise ModelError(f"{path} is not a model that onnxruntime can load: {why}") from error
        self.provider: str = self._session.get_providers()[0]
        inputs = [_tensor(each) for each in self._session.get_inputs()]
        self.outputs = tuple(_tensor(each) for each in self._session.get_outputs())
        if len(inputs) != 1:
            raise misfit(path, "one input, the picture", ", ".join(map(str, inputs)) or "none")
        self.input = inputs[0]

    def run(self, names: list[str], tensor: Numbers) -> list[Numbers]:
        """The outputs of these names for one input. Raises ModelError."""
        try:
            return list(self._session.run(names, {self.input.name: tensor}))
        except Exception as error:  # the provider's libraries raise anything; all of it counts as the model's failure
            raise ModelError(
                f"{self.path} failed on an input of {described(tensor.shape)} {tensor.dtype}: {why_failed(error)}"
            ) from error

    def metadata(self) -> dict[str, str]:
        """The metadata that its exporter wrote into the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)


def _what_it_is(path: Path) -> str | None:
    try:
        what = what_it_is(path)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return what and f"it is {what}"


def available_provider(wanted: str) -> str:
    """The full name of a provider ("cuda" will do). Raises ModelError naming those the installed onnxruntime has."""
    available: list[str] = onnxruntime.get_available_providers()
    for provider in available:
        if wanted.lower() in {provider.lower(), provider.removesuffix(_SUFFIX).lower()}:
            return provider
    raise ModelError(f"the installed onnxruntime has no provider {wanted}: it has {', '.join(available)}")


def misfit(path: Path, expected: object, found: object) -> ModelError:
    return ModelError(f"{path} does not fit: expected {expected}; found {found}")


def session_options(threads: int = 1) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: they come as exceptions; warnings are for the model's author
    return options


def described(shape: Shape) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def _tensor(declared: Any) -> Tensor:
    shape = tuple(size if isinstance(size, int) and size >= 0 else None for size in declared.shape)
    return Tensor(declared.name, declared.type, shape)
