"""Any content of the file is read, or refused with a sentence and a line; no other error is raised."""

import re
import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from iris_camera.config import Config, ConfigError, read
from iris_camera.config.example import example
from iris_camera.config.toml_lines import lines_of_keys

SETTINGS = re.sub(r"^#(?=[a-z_]+ = |\[[a-z])", "", example(), flags=re.MULTILINE).splitlines()
VALUES = st.sampled_from(
    [
        *('"text"', '""', "5", "-1", "0", "1e400", "nan", "inf", "true", "[]", "[1]", '["a", 1]', "{}", "{ a = 1 }"),
        *(
            "2026-11-24",
            "12:30:00",
            "[[]]",
            '{ file = "a" }',
            "{ environment = 5 }",
            '"\\u0000"',
            "99999999999999999999",
        ),
        *("'''\n'''", "[\n\n1]", '"file:"', '"usb:x"', '"rtsp://"', '"a/b"', '"../x"', '"~nobody-of-that-name/x"'),
    ]
)
NAMES = st.sampled_from(["port", "source", "kind", "cameras", "line-1", "'a b'", "host", "x"])


@st.composite
def mutilated(draw):
    """The whole example with every setting switched on, a few of its lines changed at random."""
    lines = list(SETTINGS)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        key, equals, _ = lines[at].partition(" = ")
        lines[at] = draw(
            st.one_of(
                VALUES.map(lambda value, key=key, equals=equals: f"{key} = {value}" if equals else ""),
                st.builds("{} = {}".format, NAMES, VALUES),
                st.builds("[{}.{}]".format, NAMES, NAMES),
                st.builds("[[{}]]".format, NAMES),
                st.just(""),
            )
        )
    return "\n".join(lines)


@settings(max_examples=150, deadline=None)
@given(text=mutilated())
def test_any_file_is_read_or_refused_with_a_sentence_and_a_line(text, tmp_path_factory):
    text = text.replace('{ command = ["pass", "show", "plant"] }', '"sesame-street"')
    file = tmp_path_factory.mktemp("any") / "iris.toml"
    file.write_text(text)
    last_line = text.count("\n") + 1
    try:
        assert isinstance(read(file, {"IRIS_PASSPHRASE": "p"}), Config)
    except ConfigError as error:
        for problem in error.problems:
            assert problem.origin.place == str(file), problem
            assert 1 <= problem.origin.line <= last_line, problem
            assert "sesame-street" not in problem.text


TEXTS = st.sampled_from(
    [
        *(
            "1",
            "true",
            '"a # [b"',
            "'a\\'",
            '"""\n[x]\na = 1\n"""',
            "'''\n'''",
            '"\\"]"',
            "[]",
            "[1, # ]\n2]",
            "1979-05-27",
        ),
        *('["]", """\n"""]', '{ y = "}", z.w = 2 }', "[{ y = 1 }, { y = [\n2] }]", '""""x""""'),
    ]
)


@st.composite
def documents(draw):
    """A document of tables and keys, and the line each of its keys stands on."""
    text, expected = "", {}
    for table in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from([f"t{table}", f'"t {table}"', f"deep . t{table}"]))
        text += draw(st.sampled_from(["", "\n", "# t = 1\n", "  \n"]))
        path = tuple(part.strip(' "') for part in name.split("."))
        expected[path] = text.count("\n") + 1
        text += f"[{name}]" + draw(st.sampled_from(["\n", " # [x]\n", "\r\n"]))
        for number in range(draw(st.integers(0, 4))):
            key = draw(st.sampled_from([f"k{number}", f"'k{number}'", f"a.k{number}", f'"k{number}" . b']))
            where = (*path, *(part.strip(" \"'") for part in key.split(".")))
            expected[where] = text.count("\n") + 1
            text += f"{draw(st.sampled_from(['', '  ']))}{key} = {draw(TEXTS)}"
            text += draw(st.sampled_from(["\n", "  # k = 1\n", "\n\n"]))
    return text, expected


@settings(max_examples=300, deadline=None)
@given(document=documents())
def test_each_key_of_any_document_is_found_on_its_line(document):
    text, expected = document
    tomllib.loads(text)
    found = lines_of_keys(text)
    assert {path: found.get(path) for path in expected} == expected
