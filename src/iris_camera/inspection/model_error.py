"""The one error of models, apart from their runtime: modules that only handle it do without onnxruntime."""

from iris_communication.plain_text import ERROR_TEXT_MAX, clean


class ModelError(Exception):
    """A model cannot be used or failed; the text names it, what is wrong, and what was expected."""

    def __init__(self, text: str) -> None:
        super().__init__(clean(text, ERROR_TEXT_MAX))  # the runtime's errors quote the file
