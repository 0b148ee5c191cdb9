"""One spelling for a host, and what is none."""

import pytest

from iris_communication.errors import InvalidRequest
from iris_communication.naming import host_names
from iris_communication.server.facts import parse_server


def parsed(host):
    return parse_server({"host": host, "username": "iris"})[0]


@pytest.mark.parametrize(
    ("spelled", "host"),
    [
        ("Plant.Example", "plant.example"),
        ("LOCALHOST", "localhost"),
        ("MÜLLER.Example", "xn--mller-kva.example"),
        ("müller.example", "xn--mller-kva.example"),
        ("XN--MLLER-KVA.example", "xn--mller-kva.example"),
        ("FE80::1%Eth0", "fe80::1%Eth0"),
        ("2001:DB8::1", "2001:db8::1"),
        ("10.0.0.1", "10.0.0.1"),
        ("plant_3", "plant_3"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.0.0.1", "127.0.0.1"),
        ("010.0.0.01", "8.0.0.1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("2001:0DB8:0:0::0001", "2001:db8::1"),
        ("::ffff:7f00:1", "::ffff:127.0.0.1"),
        ("fe80:0::1%Eth0", "fe80::1%Eth0"),
        ("3com.example", "3com.example"),
        ("10.0.0.256", "10.0.0.256"),
    ],
)
def test_a_host_has_one_spelling(spelled, host):
    assert parsed(spelled).host == host


@pytest.mark.parametrize("spelled", ["Plant.example", "PLANT.EXAMPLE", "plant.example."])
def test_an_account_is_the_same_however_its_host_is_spelled(spelled):
    assert parsed(spelled).key == "iris@plant.example:22"


def test_the_dot_of_a_whole_name_is_kept_for_the_look_up():
    assert parsed("plant.example.").host == "plant.example."


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("h:22", "give 'h' and port = 22"),
        ("plant.example:2222", "give 'plant.example' and port = 2222"),
        ("10.0.0.1:22", "give '10.0.0.1' and port = 22"),
        ("h:ssh", "give the port as port"),
        ("sftp://h", "scheme"),
        ("ssh://iris@h:22/in", "scheme"),
        ("SFTP://h", "scheme"),
        ("user@h", "username"),
        ("iris@h:22", "username"),
        ("h/incoming", "remote_directory"),
        ("\\\\h\\share", "remote_directory"),
        ("[::1]", "give '::1'"),
        ("[::1]:2222", "give '::1' and port = 2222"),
        ("[plant]:22", "give 'plant' and port = 22"),
        ("::1:99999:x", "no IPv6 address"),
        ("[::1", "no name and no address"),
        ("-oProxyCommand=x", "no name and no address"),
        ("a b", "space"),
        ("ü" * 70 + ".example", "no name that can be looked up"),
    ],
)
def test_a_text_that_is_no_host_is_refused_at_once_with_what_to_give(host, text):
    with pytest.raises(InvalidRequest) as caught:
        parsed(host)
    assert text in str(caught.value)
    assert str(caught.value).startswith("sftp_server_info: host is ")


@pytest.mark.parametrize(
    "host", ["sftp://iris:geheim@h/in", "iris:geheim@h", "iris:ge@heim@h:22", "//iris:geheim@h", "geheim @h"]
)
def test_a_password_in_the_place_of_a_host_is_not_shown(host):
    with pytest.raises(InvalidRequest) as caught:
        parsed(host)
    assert "geheim" not in str(caught.value)
    assert "heim@" not in str(caught.value)
    assert "'***@h" in str(caught.value)


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("iris@Plant.Example:22", "iris@plant.example:22"),
        ("iris@plant.example.:22", "iris@plant.example:22"),
        ("A@B@Plant:2222", "A@B@plant:2222"),
        ("iris@FE80::1%Eth0:22", "iris@fe80::1%Eth0:22"),
        ("Plant", "Plant"),
        ("", ""),
    ],
)
def test_an_account_is_found_however_a_person_spells_its_host(word, key):
    assert host_names.canonical_key(word) == key


@pytest.mark.parametrize("host", ["a..b", "ü..b"])
def test_a_name_that_is_none_keeps_its_spelling(host):
    assert host_names.canonical(host) == host


@pytest.mark.parametrize("username", ["Line 3", "PLANT\\iris", "iris@plant", "müller"])
def test_a_user_may_have_any_name_that_can_be_seen(username):
    assert parse_server({"host": "h", "username": username})[0].username == username


@pytest.mark.parametrize("username", [" ", "a\tb", "a\x1b[0m"])
def test_a_user_without_a_name_that_can_be_seen_is_refused(username):
    with pytest.raises(InvalidRequest, match="username"):
        parse_server({"host": "h", "username": username})


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("key", ["password", "passphrase"])
def test_a_secret_that_ends_with_a_line_break_is_refused_and_not_shown(key, ending):
    with pytest.raises(InvalidRequest, match=f"{key} ends with a line break") as caught:
        parse_server({"host": "h", "username": "iris", key: f"hunter2{ending}"})
    assert "hunter2" not in str(caught.value)
