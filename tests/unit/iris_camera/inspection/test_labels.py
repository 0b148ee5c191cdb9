"""What classes are called: by a file as people save such files, by a model's own notes, by number."""

import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from iris_camera.inspection.labels import SIZE_BYTES_MAX, Labels, labels_of
from iris_camera.inspection.model_error import ModelError

MODEL = Path("model.onnx")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "labels.txt"


@pytest.mark.parametrize(
    "content",
    [
        b"nut\nbolt M6\n",
        b"nut\nbolt M6",
        b"nut\r\nbolt M6\r\n",
        b"\xef\xbb\xbfnut\nbolt M6\n",
        b"  nut \nbolt M6\n\n \n",
    ],
    ids=["plain", "no last end of line", "from Windows", "with a byte order mark", "with empty lines at the end"],
)
def test_a_file_holds_one_label_a_line(file, content):
    file.write_bytes(content)
    assert labels_of(file, {}, MODEL) == (("nut", "bolt M6"), str(file))


def test_labels_may_be_in_any_language(file):
    file.write_text("Mutter\nSchlüssel\nねじ\n", encoding="utf-8")
    assert labels_of(file, {}, MODEL)[0] == ("Mutter", "Schlüssel", "ねじ")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "expected one label a line; found that no line"),
        (b"\n\n", "expected one label a line; found that no line"),
        (b"nut\n\nbolt\n", "found that line 2 is empty"),
        ("Schlüssel".encode("latin-1"), "expected UTF-8 text, one label a line"),
        (b"x" * (SIZE_BYTES_MAX + 1), f"expected at most {SIZE_BYTES_MAX} bytes"),
    ],
    ids=["empty", "empty lines", "a gap", "another encoding", "another file"],
)
def test_a_file_that_holds_no_labels_is_named_with_what_is_wrong(file, content, text):
    file.write_bytes(content)
    with pytest.raises(ModelError, match=rf"{file} is not a labels file: .*{text}"):
        labels_of(file, {}, MODEL)


def test_a_missing_file_is_named(file):
    with pytest.raises(ModelError, match=rf"the labels file {file} cannot be read: No such file"):
        labels_of(file, {}, MODEL)


def test_a_file_comes_before_the_models_notes(file):
    file.write_text("nut\n")
    assert labels_of(file, {"names": "{0: 'bolt'}"}, MODEL)[0] == ("nut",)


@pytest.mark.parametrize(
    "metadata", [{"labels": "nut,bolt"}, {"names": "{0: 'nut', 1: 'bolt'}"}, {"names": "['nut', 'bolt']"}]
)
def test_a_models_notes_name_its_classes(metadata):
    names, origin = labels_of(None, metadata, MODEL)
    assert names == ("nut", "bolt")
    assert origin.startswith("model.onnx, entry ")


@pytest.mark.parametrize("names", ["nut, bolt", "{1: 'nut', 2: 'bolt'}", "3", "[" * 500, "__import__('os')"])
def test_notes_that_name_no_classes_are_reported(names):
    with pytest.raises(ModelError, match=r"expected names such as .* in its entry names; found"):
        labels_of(None, {"names": names}, MODEL)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("{0: 'it\\'s', 1: \"a 'b'\"}", ("it's", "a 'b'")),
        ("{0: 'a, b', 1: 'c: d', 2: '}'}", ("a, b", "c: d", "}")),
        ("{1: 'bolt', 0: 'nut'}", ("nut", "bolt")),
        ("{0: 0, 1: 1.5}", ("0", "1.5")),
        ("['nut', 'bolt',]", ("nut", "bolt")),
        ("('nut', 'bolt')", ("nut", "bolt")),
        (" {0:'nut',1:'bolt'} ", ("nut", "bolt")),
        ("{0: 'M\\u00fctter'}", ("Mütter",)),
        ("{0: 'Mütter'}", ("Mütter",)),
    ],
)
def test_names_are_read_as_python_writes_them(names, expected):
    assert labels_of(None, {"names": names}, MODEL)[0] == expected


@pytest.mark.parametrize("entry", ["names", "labels"])
def test_two_megabytes_of_labels_in_a_model_are_refused(entry):
    text = "{" + ", ".join(f"{n}: 'part {n}'" for n in range(100_000)) + "}"
    with pytest.raises(ModelError, match=rf"at most 1,048,576 characters of labels in its entry {entry}; found [\d,]+"):
        labels_of(None, {entry: text}, MODEL)


@pytest.mark.parametrize(
    "text",
    [
        "{" + ", ".join(f"{n}: 'part {n}'" for n in range(50_000)) + "}",
        "{" + "0: " * 300_000 + "}",
        "{0: '" + "\\" * 1_000_000 + "}",
        "[" + "[" * 1_000_000 + "]",
        "{" + " " * 1_000_000 + "}",
        "{" + "9" * 1_000_000 + "}",
        "{" + "'a'" * 300_000 + "}",
    ],
    ids=["many", "numbers", "backslashes", "brackets", "blanks", "digits", "no commas"],
)
def test_a_megabyte_of_names_takes_little_memory_whatever_is_in_it(text):
    tracemalloc.start()
    try:
        with suppress(ModelError):
            labels_of(None, {"names": text}, MODEL)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("metadata", [{"labels": "nut," + "x" * 201}, {"names": "['nut', '" + "x" * 201 + "']"}])
def test_an_overlong_label_is_refused(metadata):
    with pytest.raises(ModelError, match="label 1 has 201 characters: expected at most 200"):
        labels_of(None, metadata, MODEL)


def test_a_sign_in_a_label_that_cannot_be_shown_is_written_out(file):
    file.write_text("\x1b[31mnut\nbo\tlt\n", encoding="utf-8")
    assert labels_of(file, {}, MODEL)[0] == ("\\x1b[31mnut", "bo\\tlt")
    assert labels_of(None, {"labels": "a\x07b,c\ud800"}, MODEL)[0] == ("a\\x07b", "c\\ud800")
    assert labels_of(None, {"names": r"{0: 'two\nlines'}"}, MODEL)[0] == (r"two\nlines",)


def test_a_model_that_nobody_labelled_has_no_names():
    assert labels_of(None, {}, MODEL) == ((), "nowhere")


def test_a_class_beyond_the_names_is_called_by_the_models_own_number():
    labels = Labels(("nut",), "a test", None, first_class=1)
    assert [labels.of(index) for index in (0, 1, -1)] == ["nut", "class 2", "class 0"]


def test_the_one_class_of_a_nameless_model_is_called_as_declared():
    assert Labels((), "nowhere", 1, alone="crate").of(0) == "crate"
    assert Labels(("nut",), "a test", 1, alone="crate").of(0) == "nut"


def test_names_have_to_be_as_many_as_the_classes_where_these_are_known():
    Labels(("nut", "bolt"), "labels.txt", 2).check(MODEL)
    Labels(("nut", "bolt"), "labels.txt", None).check(MODEL)
    Labels((), "nowhere", 80).check(MODEL)
    with pytest.raises(ModelError, match=r"expected 2 classes, one for each label of labels\.txt; found 80 classes"):
        Labels(("nut", "bolt"), "labels.txt", 80).check(MODEL)
