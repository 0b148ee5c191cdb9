import pytest

from iris_communication.errors import InvalidRequest
from iris_communication.naming.path_template import check_template
from iris_communication.server.facts import parse_server


@pytest.mark.parametrize(
    "template",
    [
        "{remote_directory}/{project}/{folder_type}/{file_name}",
        "/fixed/{file_name}",
        "{remote_directory}/{{kept}}/{file_name}",
        "{remote_directory}/{folder_type}-{file_name}",
        "{remote_directory}/newest.csv",
    ],
)
def test_a_template_that_can_be_filled_is_taken(template):
    check_template(template, ("project",))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{remote_dir}/{file_name}", "there is no {remote_dir}; did you mean {remote_directory}?"),
        ("{remote_directory}/{file}", "there is no {file}; did you mean {file_name}?"),
        ("{remote_directory}/{camera}/{file_name}", "there is no {camera}; known are {remote_directory}, "),
        ("{remote_directory}/{}/{file_name}", "{} has no name"),
        ("{remote_directory}/{0}/{file_name}", "{0} has no name"),
        ("{remote_directory/{file_name}", "not a template|there is no"),
        ("{remote_directory}/file_name}", "not a template"),
        ("{project.name}/{file_name}", "there is no {project.name}"),
        ("{project[0}/{file_name}", "not a template|there is no|cannot be filled"),
        ("{project!z}/{file_name}", "cannot be filled|not a template"),
        ("{remote_directory}/{file_name:>2000000000}", "padded to more than a name can hold"),
        ("{project!r:0>99999}/{file_name}", "padded to more than a name can hold"),
        ("{project:{project}}/{file_name}", "padded to more than a name can hold"),
        ("{remote_directory}/", "names no file"),
        ("{remote_directory}/..", "names no file"),
        ("", "names no file"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_with_what_is_wrong(template, text):
    with pytest.raises(InvalidRequest) as refused:
        check_template(template, ("project",))
    assert any(each in str(refused.value) for each in text.split("|"))


def test_a_callers_project_settings_may_hold_any_name():
    server = {"host": "h", "username": "u", "remote_path": "{remote_directory}/{line}/{file_name}"}
    assert parse_server(server)[0].remote_path == server["remote_path"]
    with pytest.raises(InvalidRequest, match=r"sftp_server_info: remote_path is .*not a template"):
        parse_server({**server, "remote_path": "{line"})
    with pytest.raises(InvalidRequest, match="has no name"):
        parse_server({**server, "remote_path": "{}/{file_name}"})
