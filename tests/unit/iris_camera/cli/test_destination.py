import pytest

from iris_camera.cli.destination import no_such_server
from iris_camera.config import Config


@pytest.mark.parametrize(
    "name",
    ["iris:hunter22@h", "sftp://iris:hunter22@h/in", '{"host": "h", "password": "hunter22"}', "'password=hunter22'"],
)
def test_a_password_given_in_place_of_a_servers_name_is_shown_nowhere(name):
    assert "hunter22" not in no_such_server(Config(), name)


def test_a_name_that_no_server_has_is_shown():
    assert no_such_server(Config(), "iris@plnt:22").startswith("there is no server 'iris@plnt:22'")
