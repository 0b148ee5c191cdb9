"""Where a file goes, and what is refused instead of being cleaned."""

import os

import pytest

from iris_communication.errors import InvalidRequest
from iris_communication.remote_path import remote_path
from iris_communication.settings import DEFAULT_REMOTE_PATH, Server


def path(
    file_path="/records/a.csv",
    project_settings=None,
    folder_type="model",
    remote_directory="/srv/in",
    template=DEFAULT_REMOTE_PATH,
):
    server = Server("sftp.example", "iris", remote_directory=remote_directory, remote_path=template)
    return remote_path(server, file_path, project_settings or {"project": "line-1"}, folder_type)


def test_the_path_is_made_of_folder_project_kind_and_name():
    assert path() == "/srv/in/line-1/model/a.csv"


def test_a_text_is_the_projects_name():
    assert path(project_settings="line-2") == "/srv/in/line-2/model/a.csv"


@pytest.mark.parametrize(
    ("remote_directory", "found"),
    [
        ("/", "/line-1/model/a.csv"),
        ("/srv/in/", "/srv/in/line-1/model/a.csv"),
        ("//srv///in//", "/srv/in/line-1/model/a.csv"),
        (".", "./line-1/model/a.csv"),
        ("uploads", "uploads/line-1/model/a.csv"),
        ("", "./line-1/model/a.csv"),  # where the login begins, not the root
    ],
)
def test_the_remote_directory_is_taken_as_it_is_meant(remote_directory, found):
    assert path(remote_directory=remote_directory) == found


@pytest.mark.parametrize(
    "name",
    ["a\nb.csv", "'\".csv", "ü.csv", " .csv", "a b.csv", "...", "{project}.csv", "a\\b.csv", "n" * 255, "\udcff.csv"],
)
def test_any_file_name_is_kept_as_it_is(name):
    assert path(f"/records/{name}") == f"/srv/in/line-1/model/{name}"


def test_a_name_that_is_no_utf8_goes_back_to_its_bytes():
    assert os.fsencode(path("/records/\udcff.csv")).endswith(b"/\xff.csv")


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{{{project}}}/{file_name}", "{line-1}/a.csv"),
        ("{project!s}/{file_name}", "line-1/a.csv"),
        ("{project:>8}/{file_name}", "  line-1/a.csv"),
        ("fixed/{project}{project}/{file_name}.part", "fixed/line-1line-1/a.csv.part"),
    ],
)
def test_a_template_is_filled_as_python_fills_one(template, found):
    assert path(template=template, project_settings="line-1") == found


def test_a_number_may_be_a_value():
    template = "{remote_directory}/{project}/{shift}/{file_name}"
    assert path(project_settings={"project": "a", "shift": 3}, template=template) == "/srv/in/a/3/a.csv"


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "/", "../x", "a\0b"])
@pytest.mark.parametrize("where", ["project", "folder_type"])
def test_a_value_that_could_leave_its_folder_is_refused_by_name(where, value):
    facts = {"project_settings": {"project": value}} if where == "project" else {"folder_type": value}
    with pytest.raises(InvalidRequest, match=where) as caught:
        path(**facts)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [None, 1.5, ["a"], {"a": 1}, b"model"])
def test_a_folder_type_that_is_no_text_is_refused(value):
    with pytest.raises(InvalidRequest, match="folder_type"):
        path(folder_type=value)


@pytest.mark.parametrize("value", [None, 1.5, ["a"], {"a": 1}, b"line-1"])
def test_a_project_that_is_no_text_is_refused_by_name(value):
    with pytest.raises(InvalidRequest, match="project"):
        path(project_settings={"project": value})


@pytest.mark.parametrize("value", [None, 5, ["line-1"], b"line-1"])
def test_project_settings_of_another_kind_are_refused(value):
    server = Server("sftp.example", "iris")
    with pytest.raises(InvalidRequest, match="project_settings is a"):
        remote_path(server, "/a.csv", value, "model")


def test_values_the_template_does_not_use_may_be_anything():
    facts = {"project": "line-1", "description": "bolts, 3/8 inch", "output": "/srv/data", "rates": [1, 2], "on": None}
    assert path(project_settings=facts) == "/srv/in/line-1/model/a.csv"


def test_project_settings_replace_none_of_our_own_values():
    facts = {"project": "line-1", "file_name": "x", "folder_type": "y", "remote_directory": "/z"}
    assert path(project_settings=facts) == "/srv/in/line-1/model/a.csv"


@pytest.mark.parametrize("file_path", ["/", "/records/", "/records/..", "."])
def test_a_path_without_a_file_name_is_refused(file_path):
    with pytest.raises(InvalidRequest, match="file name"):
        path(file_path)


@pytest.mark.parametrize(
    "template",
    [
        "{remote_directory}/{line}/{file_name}",  # a name that is not there
        "{project.nothing}/{file_name}",
        "{project[a]}/{file_name}",
        "{}/{file_name}",
        "{project",
        "{project:d}/{file_name}",
        "{project!z}/{file_name}",
    ],
)
def test_a_template_that_cannot_be_filled_is_reported_with_what_to_give(template):
    with pytest.raises(InvalidRequest, match="cannot be filled") as caught:
        path(template=template)
    assert template in str(caught.value)
    assert "project_settings" in caught.value.hint


def test_settings_without_a_project_are_reported():
    with pytest.raises(InvalidRequest, match="project"):
        path(project_settings={"line": "1"})


@pytest.mark.parametrize("template", ["{remote_directory}/", "{remote_directory}/{project}/..", ""])
def test_a_template_that_names_no_file_is_refused(template):
    with pytest.raises(InvalidRequest, match="names no file"):
        path(template=template)


@pytest.mark.parametrize("facts", [{"project_settings": {"project": "\ud800"}}, {"folder_type": "\ud800"}])
def test_a_text_that_is_no_text_is_refused(facts):
    with pytest.raises(InvalidRequest, match="bytes"):
        path(**facts)


@pytest.mark.parametrize("file_path", ["/rec\0ords/a.csv", "/rec\ud800ords/a.csv"])
def test_a_local_path_no_system_takes_is_refused(file_path):
    with pytest.raises(InvalidRequest, match="file path"):
        path(file_path)


def test_a_folder_type_that_cannot_be_stored_is_refused():
    with pytest.raises(InvalidRequest, match="folder_type"):
        path(folder_type="\udcff")
