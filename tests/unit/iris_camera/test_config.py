"""Settings from the environment: what is missing has a default, what is wrong is named."""

from pathlib import Path

import pytest

from iris_camera.config import ConfigError, from_environment, read_server_info


def test_without_any_setting_folders_lie_in_the_users_state_directory():
    config = from_environment({"XDG_STATE_HOME": "/state"})
    assert config.outbox_dir == Path("/state/iris/outbox")
    assert config.records_dir == Path("/state/iris/records")
    assert config.port == 5000
    assert config.server_info is None


def test_the_outbox_and_the_records_can_be_put_elsewhere():
    config = from_environment({"IRIS_OUTBOX": "/a/outbox", "IRIS_RECORDS": "/b/records"})
    assert (config.outbox_dir, config.records_dir) == (Path("/a/outbox"), Path("/b/records"))


def test_the_application_takes_a_hundred_thousand_files():
    assert from_environment({}).max_queue_size == 100_000


@pytest.mark.parametrize("port", ["", "http", "-1", "65536"])
def test_a_port_that_is_none_is_named(port):
    with pytest.raises(ConfigError, match="IRIS_PORT"):
        from_environment({"IRIS_PORT": port})


def test_a_server_file_is_read_and_its_secret_is_in_no_repr(tmp_path):
    file = tmp_path / "server.json"
    file.write_text('{"host": "h", "username": "u", "password": "secret-word"}')
    config = from_environment({"IRIS_SERVER": str(file)})
    assert config.server_info == {"host": "h", "username": "u", "password": "secret-word"}
    assert "secret-word" not in repr(config)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is no JSON"),
        ('["h"]', "holds a list"),
        ('{"host": "h"}', "needs 'username'"),
        ('{"host": "h", "username": "u", "pasword": "secret-word"}', "did you mean 'password'"),
    ],
)
def test_a_server_file_that_cannot_be_used_is_named_without_its_secrets(tmp_path, content, told):
    file = tmp_path / "server.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=told) as raised:
        read_server_info(file)
    assert str(file) in str(raised.value)
    assert "secret-word" not in str(raised.value)


def test_a_server_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_server_info(tmp_path / "missing.json")
