import importlib.util
import math
import os
from pathlib import Path

import pytest

from iris_communication.admin.outbox_control import OutboxControl
from iris_communication.errors import InvalidRequest, Scope
from iris_communication.remote_path import source_path
from iris_communication.server.facts import parse_server
from iris_communication.settings import DeliverySettings, Limits, Rule, Secret, Server
from iris_communication.sftp_uploader_thread import SftpUploaderThread

FINGERPRINT, NEXT_FINGERPRINT = "SHA256:" + "n" * 43, "SHA256:" + "x" * 43
INFO = {"host": "sftp.example", "username": "iris"}


def test_host_and_username_are_enough():
    server, secret = parse_server(INFO)
    assert server == Server(host="sftp.example", username="iris", port=22, remote_directory=".", host_key="")
    assert not secret
    assert server.key == "iris@sftp.example:22"


def test_address_and_secret_are_kept_apart():
    server, secret = parse_server(
        {
            **INFO,
            "port": 2222,
            "password": "hunter2",
            "private_key": "-----BEGIN OPENSSH PRIVATE KEY-----",
            "passphrase": "opensesame",
            "remote_directory": "/in",
            "host_key": FINGERPRINT,
            "remote_path": "{file_name}",
        }
    )
    assert server == Server("sftp.example", "iris", 2222, "/in", FINGERPRINT, "{file_name}")
    assert secret == Secret("hunter2", "-----BEGIN OPENSSH PRIVATE KEY-----", "opensesame")
    assert secret


def test_a_secret_is_never_shown():
    _, secret = parse_server({**INFO, "password": "hunter2", "private_key": "KEY", "passphrase": "opensesame"})
    assert repr(secret) == str(secret) == "Secret()"


@pytest.mark.parametrize("port", [22, "22", None, 22.0])
def test_a_port_may_be_a_number_its_text_or_left_out(port):
    assert parse_server({**INFO, "port": port})[0].port == 22


@pytest.mark.parametrize("port", [0, -1, 65536, "ssh", "", 22.5, True, [22], math.nan, math.inf])
def test_a_port_that_is_none_is_refused_with_what_was_given(port):
    with pytest.raises(InvalidRequest, match="port") as caught:
        parse_server({**INFO, "port": port})
    assert repr(port) in str(caught.value)


def test_none_means_left_out():
    server, secret = parse_server({**INFO, "password": None, "remote_directory": None, "host_key": None})
    assert (server.remote_directory, server.host_key, secret) == (".", "", Secret())


def test_a_path_may_be_given_where_a_text_is_expected():
    assert parse_server({**INFO, "private_key": Path("/keys/id")})[1].private_key == "/keys/id"


@pytest.mark.parametrize("key", ["host", "username"])
@pytest.mark.parametrize("value", [None, "", "left out"])
def test_a_missing_host_or_username_is_named(key, value):
    info = {name: text for name, text in INFO.items() if name != key or value != "left out"}
    if value != "left out":
        info[key] = value
    with pytest.raises(InvalidRequest, match=f"needs '{key}'"):
        parse_server(info)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("hostname", "did you mean 'host'"),
        ("user_name", "did you mean 'username'"),
        ("passwort", "did you mean 'password'"),
        ("privatekey", "did you mean 'private_key'"),
        ("zzz", "known are host, username, port"),
        (5, "known are"),
    ],
)
def test_an_unknown_key_is_named_with_what_was_probably_meant(key, text):
    with pytest.raises(InvalidRequest, match=text) as caught:
        parse_server({**INFO, key: "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["host", "username", "password", "private_key", "remote_directory", "host_key"])
@pytest.mark.parametrize("value", [5, b"hunter2", ["hunter2"], {"a": "hunter2"}, True])
def test_a_value_of_another_kind_is_refused_by_its_key_and_never_shown(key, value):
    if (key, value) == ("host_key", ["hunter2"]):
        value = ["hunter2", 5]  # several texts are allowed there
    with pytest.raises(InvalidRequest, match=f"'{key}'") as caught:
        parse_server({**INFO, key: value})
    assert "hunter2" not in str(caught.value)


def test_the_host_keys_current_and_next_are_given_as_a_list_or_as_lines():
    as_list = parse_server({**INFO, "host_key": [FINGERPRINT, NEXT_FINGERPRINT]})[0]
    assert as_list.host_key == f"{FINGERPRINT}\n{NEXT_FINGERPRINT}"
    assert parse_server({**INFO, "host_key": f" {FINGERPRINT}\n\n{NEXT_FINGERPRINT}=\n"})[0] == as_list


@pytest.mark.parametrize("text", ["a\n", "a\tb", "\x00a", "\u202ea"])
@pytest.mark.parametrize("key", ["host", "username"])
def test_spaces_and_what_cannot_be_seen_have_no_place_in_an_address(key, text):
    with pytest.raises(InvalidRequest, match="unprintable"):
        parse_server({**INFO, key: text})


@pytest.mark.parametrize("policy", ["strict", "accept-new", "off"])
def test_the_host_key_policy_is_part_of_the_address(policy):
    assert parse_server({**INFO, "host_key_policy": policy})[0].host_key_policy == policy


def test_host_keys_are_strictly_checked_without_a_policy():
    assert parse_server(INFO)[0].host_key_policy == "strict"
    assert parse_server({**INFO, "host_key_policy": None})[0].host_key_policy == "strict"


@pytest.mark.parametrize("policy", ["", "no", "accept_new", True, 5])
def test_a_policy_that_is_none_is_refused_with_those_there_are(policy):
    with pytest.raises(InvalidRequest, match=r"host_key_policy is .*: expected one of strict, accept-new, off"):
        parse_server({**INFO, "host_key_policy": policy})


@pytest.mark.parametrize("key", DeliverySettings.__dataclass_fields__.values(), ids=lambda key: key.name)
def test_every_setting_says_what_it_means(key):
    assert key.metadata["doc"]


def test_every_refusal_is_the_callers_fault():
    with pytest.raises(ValueError, match="needs 'host'") as caught:
        parse_server({})
    assert caught.value.scope is Scope.CALLER


def shortly(value):
    return str(value)[:9]


SHARES = ("lower_share", "new_share")
ABOVE_ZERO = [name for name in DeliverySettings.__slots__ if name not in (*SHARES, "rules")]


@pytest.mark.parametrize("name", ABOVE_ZERO)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 10**400, "5", True], ids=shortly)
def test_a_setting_that_is_no_number_above_zero_is_refused_by_name(name, value):
    with pytest.raises(InvalidRequest, match=name):
        DeliverySettings(**{name: value})


@pytest.mark.parametrize("name", ABOVE_ZERO)
def test_the_time_to_live_alone_may_be_left_open(name):
    if name == "ttl_s":
        assert DeliverySettings(ttl_s=None).ttl_s is None
        return
    with pytest.raises(InvalidRequest, match=name):
        DeliverySettings(**{name: None})


AMOUNTS = ("attempts_max", "retry_base_s", "bandwidth_bytes_per_s", "health_interval_s", "streams")


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, 10**400, "5", True], ids=shortly)
def test_a_number_of_a_server_that_is_none_is_refused_by_name(name, value):
    with pytest.raises(InvalidRequest, match=name):
        parse_server({"host": "h", "username": "u", name: value})


@pytest.mark.parametrize("value", [5, "Mon", [5], {"a": 1}, [["Mon"]]], ids=str)
def test_delivery_windows_that_are_no_list_of_texts_are_refused_by_name(value):
    with pytest.raises(InvalidRequest, match="windows"):
        parse_server({"host": "h", "username": "u", "windows": value})


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("value", [-0.1, 0.51, math.nan, "0.1", None])
def test_a_share_is_from_none_to_half_of_the_link(name, value):
    with pytest.raises(InvalidRequest, match=name):
        DeliverySettings(**{name: value})
    assert getattr(DeliverySettings(**{name: 0}), name) == 0


@pytest.mark.parametrize(
    "name", ["ttl_s", "attempts_max", "retry_base_s", "batch_files_max", "batch_bytes_max", "batch_wait_s"]
)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 10**400, "5", True], ids=shortly)
def test_a_rules_number_that_is_none_above_zero_is_refused_by_name(name, value):
    with pytest.raises(InvalidRequest, match=name):
        Rule(**{name: value})


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"priority": 10}, "priority is 10"),
        ({"priority": True}, "priority is True"),
        ({"after_delivery": "burn"}, "expected one of 'keep', 'delete', 'move'"),
        ({"batch": "rar"}, "expected one of 'zip', 'tar.gz'"),
        ({"after_delivery": "move"}, "move_to has to name a folder"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_words(facts, text):
    with pytest.raises(InvalidRequest, match=text):
        Rule(**facts)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"bytes_max": 0}, "bytes_max is 0"),
        ({"disk_reserve_bytes": -1}, "disk_reserve_bytes is -1"),
        ({"disk_reserve_bytes": 1.5}, "disk_reserve_bytes is 1.5"),
        ({"when_full": "drop"}, "expected one of 'reject', 'drop_oldest', 'drop_lowest'"),
    ],
)
def test_limits_that_cannot_be_are_refused_in_words(facts, text):
    with pytest.raises(InvalidRequest, match=text):
        Limits(**facts)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("conflict", "ask"),
        ("marker", ".ok"),
        ("bandwidth_bytes_per_s", -1),
        ("bandwidth_bytes_per_s", math.nan),
        ("windows", "22:00-06:00"),
        ("windows", [5]),
        ("health_interval_s", "60"),
        ("health_round_trip", "yes"),
        ("attempts_max", 0),
        ("attempts_max", 1.5),
        ("retry_base_s", 0),
        ("retry_cap_s", True),
    ],
)
def test_an_accounts_setting_that_cannot_be_is_refused_by_its_key(key, value):
    with pytest.raises(InvalidRequest, match=key):
        parse_server({**INFO, key: value})


def test_an_accounts_settings_are_part_of_its_address():
    told = {
        "conflict": "keep",
        "marker": ".sha256",
        "bandwidth_bytes_per_s": 1000,
        "windows": ["Mon-Fri 18:00-06:00"],
        "health_interval_s": 0,
        "health_round_trip": True,
        "attempts_max": 3,
    }
    server, _ = parse_server({**INFO, **told})
    assert server.windows == ("Mon-Fri 18:00-06:00",)
    assert {key: getattr(server, key) for key in told} == {**told, "windows": server.windows}


def test_the_defaults_are_settings_like_any_others():
    assert DeliverySettings().attempts_max == 8


def test_an_event_loop_that_is_not_installed_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidRequest, match="not installed") as refused:
        DeliverySettings(event_loop="uvloop")
    assert "iris-edge[uvloop]" in refused.value.hint
    with pytest.raises(InvalidRequest, match="'asyncio' or 'uvloop'"):
        DeliverySettings(event_loop="trio")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("keys/id", "/somewhere/line/work/keys/id"),
        ("./id", "/somewhere/line/work/id"),
        ("~/id", "/somewhere/line/id"),
        ("/k/id", "/k/id"),
    ],
)
def test_a_private_keys_path_is_made_absolute_where_it_comes_in(monkeypatch, given, meant):
    monkeypatch.setenv("HOME", "/somewhere/line")
    monkeypatch.setattr(os, "getcwd", lambda: "/somewhere/line/work")
    assert parse_server({**INFO, "private_key": given})[1].private_key == meant


def test_the_folder_that_sources_are_moved_to_is_that_of_the_moment_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rule = Rule(after_delivery="move", move_to="sent")
    monkeypatch.chdir("/")
    assert rule.move_to == str(tmp_path / "sent")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("~/in", "in"),
        ("~", "."),
        ("~/", "."),
        ("~//in/deep", "in/deep"),
        ("./~x", "./~x"),
        ("/~x", "/~x"),
        ("in/~", "in/~"),
    ],
)
def test_a_tilde_at_the_beginning_of_the_remote_directory_is_the_login_folder(given, meant):
    server, _ = parse_server({"host": "one", "username": "iris", "remote_directory": given})
    assert server.remote_directory == meant


@pytest.mark.parametrize("given", ["~ann/in", "~ann", "~~/in"])
def test_a_remote_directory_of_another_user_is_refused(given):
    with pytest.raises(InvalidRequest, match="give an absolute path") as caught:
        parse_server({"host": "one", "username": "iris", "remote_directory": given})
    assert given in str(caught.value)


@pytest.mark.parametrize("given", ["~/in/{file_name}", "~ann/{file_name}"])
def test_a_remote_path_that_begins_with_a_tilde_is_refused(given):
    with pytest.raises(InvalidRequest, match="leave it out"):
        parse_server({"host": "one", "username": "iris", "remote_path": given})


@pytest.mark.parametrize(
    "make",
    [
        lambda: DeliverySettings(rules={"a": Rule(after_delivery="move", move_to="sent")}),
        lambda: SftpUploaderThread("outbox"),
        lambda: OutboxControl("outbox"),
        lambda: source_path("a.csv"),
    ],
    ids=["move_to", "outbox", "outbox of a command", "source"],
)
def test_a_relative_path_in_a_working_folder_that_was_removed_is_reported(tmp_path, monkeypatch, make):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InvalidRequest, match="working directory, which was removed") as raised:
        make()
    assert "give an absolute path" in raised.value.hint
