"""Whom we trust, and what we say when we do not."""

import contextlib
import logging
import stat
import subprocess
import sys
import threading
from pathlib import Path

import asyncssh
import pytest

from iris_communication.errors import CredentialsUnusable, HostKeyRejected
from iris_communication.settings import Server
from iris_communication.transport import accepted_keys, host_keys
from tests.own_process import files_no_larger_than, in_a_process_of_its_own

ED25519 = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
OTHER_ED25519 = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
ECDSA = asyncssh.generate_private_key("ecdsa-sha2-nistp256").convert_to_public()


def line(key):
    return key.export_public_key().decode().strip()


def server(host="sftp.example", port=22, host_key="", policy="strict"):
    return Server(host=host, username="iris", port=port, host_key=host_key, host_key_policy=policy)


@pytest.fixture
def known_hosts(tmp_path, monkeypatch):
    path = tmp_path / "known_hosts"
    monkeypatch.setattr(host_keys, "KNOWN_HOSTS", path)
    monkeypatch.setattr(host_keys, "SYSTEMS_KNOWN_HOSTS", tmp_path / "system" / "ssh_known_hosts")
    return path


@pytest.fixture
def systems(known_hosts):
    host_keys.SYSTEMS_KNOWN_HOSTS.parent.mkdir()
    return host_keys.SYSTEMS_KNOWN_HOSTS


# -- pinned


@pytest.mark.parametrize(
    "pin",
    [line(ED25519), line(ED25519) + " ann@plant\n", ED25519.get_fingerprint(), f" {ED25519.get_fingerprint()}\n"],
    ids=["key", "key with a comment", "fingerprint", "fingerprint with spaces"],
)
def test_a_pinned_key_is_trusted_and_no_other(pin):
    judge = host_keys.pinned(server(host_key=pin)).judge
    assert judge(ED25519) is None
    assert judge(OTHER_ED25519) is not None


def test_any_of_several_pinned_keys_is_trusted_and_no_other():
    judge = host_keys.pinned(server(host_key=f"{line(ED25519)}\n{ECDSA.get_fingerprint()}")).judge
    assert judge(ED25519) is None
    assert judge(ECDSA) is None
    said = judge(OTHER_ED25519)
    assert ED25519.get_fingerprint() in said
    assert ECDSA.get_fingerprint() in said
    assert said.endswith("are pinned")


def test_a_refusal_shows_both_keys_and_the_kind_that_came():
    reason = host_keys.pinned(server(host_key=line(ED25519))).judge(ECDSA)
    assert ED25519.get_fingerprint() in reason
    assert ECDSA.get_fingerprint() in reason
    assert "ecdsa-sha2-nistp256" in reason
    error = host_keys.rejected(server(), reason)
    assert isinstance(error, HostKeyRejected)
    assert "iris@sftp.example:22" in str(error)


@pytest.mark.parametrize("pin", ["nonsense", "ssh-ed25519 AAAA", "sftp.example ssh-ed25519 AAAA", "MD5:aa:bb"])
def test_a_pin_that_cannot_be_read_is_told_with_what_to_give(pin):
    with pytest.raises(CredentialsUnusable, match="host_key of iris@sftp") as caught:
        host_keys.pinned(server(host_key=pin))
    assert "SHA256:" in caught.value.hint


def test_the_server_is_asked_for_the_key_that_is_pinned():
    """A server has keys of several kinds; asked for another kind it would show another key."""
    assert host_keys.pinned(server(host_key=line(ECDSA))).algorithms[0] == "ecdsa-sha2-nistp256"
    assert host_keys.pinned(server(host_key=line(ED25519))).algorithms[0] == "ssh-ed25519"


def test_the_server_is_asked_for_a_fingerprint_as_the_ssh_program_asks():
    algorithms = host_keys.pinned(server(host_key=ED25519.get_fingerprint())).algorithms
    assert algorithms[0] == "ssh-ed25519"
    assert {"ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"} <= set(algorithms)


# -- known hosts


@pytest.mark.parametrize("host", ["sftp.example", "127.0.0.1", "::1"])
def test_a_known_key_is_trusted_and_no_other(known_hosts, host):
    known_hosts.write_text(f"{host} {line(ED25519)}\n")
    judge = host_keys.known(server(host)).judge
    assert judge(ED25519) is None
    assert "has another key for it" in judge(OTHER_ED25519)


def test_a_hashed_entry_is_understood(known_hosts):
    known_hosts.write_text(f"|1|{HASHED_SFTP_EXAMPLE} {line(ED25519)}\n")
    assert host_keys.known(server()).judge(ED25519) is None


HASHED_SFTP_EXAMPLE = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=|mC9U1Hn8aOn9+0sC4FIhNRfq590="


def test_another_port_is_another_entry(known_hosts):
    known_hosts.write_text(f"[sftp.example]:2222 {line(ED25519)}\nsftp.example {line(OTHER_ED25519)}\n")
    judge = host_keys.known(server(port=2222)).judge
    assert judge(ED25519) is None
    assert judge(OTHER_ED25519) is not None
    assert host_keys.known(server()).judge(OTHER_ED25519) is None


def test_a_host_that_is_not_listed_is_told_with_its_key(known_hosts):
    known_hosts.write_text(f"other.example {line(ED25519)}\n")
    reason = host_keys.known(server()).judge(ED25519)
    assert "does not know it" in reason
    assert ED25519.get_fingerprint() in reason
    assert str(known_hosts) in reason


def test_no_key_is_trusted_without_a_file(known_hosts):
    assert f"no {known_hosts}" in host_keys.known(server()).judge(ED25519)


def test_a_revoked_key_is_refused_even_where_it_is_listed(known_hosts):
    known_hosts.write_text(f"sftp.example {line(ED25519)}\n@revoked sftp.example {line(ED25519)}\n")
    assert "revoked" in host_keys.known(server()).judge(ED25519)


@pytest.mark.parametrize(
    "content", [b"one-word\n", b"@strange a b c\n", b"|1|bad ssh-ed25519 AAAA\n", b"\xff\xfe\xfd\n"]
)
def test_a_file_that_cannot_be_read_is_told_and_trusts_nobody(known_hosts, content):
    known_hosts.write_bytes(content)
    reason = host_keys.known(server()).judge(ED25519)
    assert f"{known_hosts} cannot be read" in reason or "does not know it" in reason


def test_a_file_we_may_not_read_is_told(known_hosts, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    known_hosts.write_text(f"sftp.example {line(ED25519)}\n")
    monkeypatch.setattr("pathlib.Path.read_bytes", denied)
    assert "Permission denied" in host_keys.known(server()).judge(ED25519)


def test_the_server_is_asked_for_a_key_that_is_known(known_hosts):
    known_hosts.write_text(f"sftp.example {line(ECDSA)}\n")
    assert host_keys.known(server()).algorithms[0] == "ecdsa-sha2-nistp256"


def test_another_key_is_refused_with_both_fingerprints_and_what_to_do(known_hosts):
    known_hosts.write_text(f"[sftp.example]:2222 {line(ED25519)}\n")
    reason = host_keys.known(server(port=2222)).judge(OTHER_ED25519)
    assert ED25519.get_fingerprint() in reason
    assert OTHER_ED25519.get_fingerprint() in reason
    assert f"ssh-keygen -R '[sftp.example]:2222' -f {known_hosts}" in reason


@pytest.mark.parametrize("second", ["", "2"])
@pytest.mark.parametrize("policy", ["strict", "accept-new"])
def test_a_key_that_the_systems_file_knows_is_trusted_and_no_other(systems, accepted, second, policy):
    systems.with_name(systems.name + second).write_text(f"sftp.example {line(ED25519)}\n")
    trust = host_keys.trust(server(policy=policy), accepted)
    assert trust.judge(ED25519) is None
    assert "ssh_known_hosts" in trust.judge(OTHER_ED25519)
    assert not accepted.exists()
    assert host_keys.foreseen_refusal(server()) is None


def test_the_kind_of_key_that_the_systems_file_knows_is_asked_for_first(systems):
    systems.write_text(f"sftp.example {line(ECDSA)}\n")
    assert host_keys.known(server()).algorithms[0] == "ecdsa-sha2-nistp256"


@pytest.mark.parametrize("policy", ["strict", "accept-new"])
def test_a_key_that_the_system_revokes_is_refused_though_the_user_knows_it(known_hosts, systems, accepted, policy):
    known_hosts.write_text(f"sftp.example {line(ED25519)}\n")
    systems.write_text(f"@revoked * {line(ED25519)}\n")
    assert "is revoked in" in host_keys.trust(server(policy=policy), accepted).judge(ED25519)


def test_a_key_of_the_host_alone_in_one_file_does_not_outweigh_that_of_its_port_in_another(known_hosts, systems):
    known_hosts.write_text(f"[sftp.example]:2222 {line(ED25519)}\n")
    systems.write_text(f"sftp.example {line(OTHER_ED25519)}\n")
    assert "has another key" in host_keys.known(server(port=2222)).judge(OTHER_ED25519)


def test_a_systems_file_that_we_may_not_read_is_passed_over_as_ssh_does(known_hosts, systems, monkeypatch):
    def read(path, usual=Path.read_bytes):
        if path == systems:
            raise PermissionError(13, "Permission denied")
        return usual(path)

    known_hosts.write_text(f"sftp.example {line(ED25519)}\n")
    systems.write_text(f"sftp.example {line(OTHER_ED25519)}\n")
    monkeypatch.setattr(Path, "read_bytes", read)
    assert host_keys.known(server()).judge(ED25519) is None
    assert host_keys.known(server()).judge(OTHER_ED25519) is not None


@pytest.mark.parametrize("searched", ["gate", "Gate", "[10.0.0.1]:2222"])
def test_a_key_that_is_known_by_the_name_that_ssh_searches_for_is_trusted_and_no_other(known_hosts, searched):
    known_hosts.write_text(f"{searched} {line(ED25519)}\n")
    judge = host_keys.known(server("plant", 2222)).judge
    assert judge(ED25519, searched) is None
    assert f"ssh-keygen -R '{searched}'" in judge(OTHER_ED25519, searched)
    assert "does not know it" in judge(ED25519)
    assert "does not know it" in judge(ED25519, "other")


def test_a_key_of_the_address_alone_counts_where_ssh_searches_for_a_port_that_is_not_known(known_hosts):
    known_hosts.write_text(f"10.0.0.1 {line(ED25519)}\n")
    judge = host_keys.known(server("plant", 2222)).judge
    assert judge(ED25519, "[10.0.0.1]:2222") is None
    known_hosts.write_text(f"10.0.0.1 {line(ED25519)}\n[10.0.0.1]:2222 {line(OTHER_ED25519)}\n")
    assert "has another key" in host_keys.known(server("plant", 2222)).judge(ED25519, "[10.0.0.1]:2222")


def test_a_revoked_key_is_refused_under_each_name(known_hosts):
    known_hosts.write_text(f"plant {line(ED25519)}\n@revoked 10.0.0.1 {line(ED25519)}\n")
    assert "revoked" in host_keys.known(server("plant", 2222)).judge(ED25519, "[10.0.0.1]:2222")


# -- accept-new


@pytest.fixture
def accepted(tmp_path, known_hosts):
    return tmp_path / "outbox" / "known_hosts"


@pytest.mark.parametrize("port", [22, 2222])
def test_an_unknown_key_is_accepted_once_and_remembered_and_no_other_after_it(accepted, port):
    new = server(port=port, policy="accept-new")
    assert host_keys.trust(new, accepted).judge(ED25519) is None
    again = host_keys.trust(new, accepted)
    assert again.judge(ED25519) is None
    assert again.algorithms[0] == "ssh-ed25519"
    reason = again.judge(OTHER_ED25519)
    assert ED25519.get_fingerprint() in reason
    assert OTHER_ED25519.get_fingerprint() in reason
    assert f"-f {accepted}" in reason
    assert accepted.read_text().count("\n") == 1


def test_the_first_key_counts_although_a_second_connection_was_under_way(accepted):
    """Both asked what is known before either was answered, as connections do that are opened together."""
    new = server(policy="accept-new")
    first, second = host_keys.trust(new, accepted), host_keys.trust(new, accepted)
    assert first.judge(ED25519) is None
    assert "another key for it" in second.judge(OTHER_ED25519)


def test_one_of_many_connections_at_once_writes_the_key_down(accepted):
    new = server(policy="accept-new")
    said = []
    threads = [
        threading.Thread(target=lambda: said.append(host_keys.trust(new, accepted).judge(ED25519))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert said == [None] * 8
    assert accepted.read_text().count("\n") == 1


def test_another_server_is_another_line(accepted):
    assert host_keys.trust(server("a.example", policy="accept-new"), accepted).judge(ED25519) is None
    assert host_keys.trust(server("b.example", policy="accept-new"), accepted).judge(OTHER_ED25519) is None
    assert host_keys.trust(server("a.example", policy="accept-new"), accepted).judge(ED25519) is None
    assert accepted.read_text().count("\n") == 2


def test_the_users_known_hosts_counts_too(accepted, known_hosts):
    known_hosts.write_text(f"sftp.example {line(ED25519)}\n")
    trust = host_keys.trust(server(policy="accept-new"), accepted)
    assert trust.judge(ED25519) is None
    assert f"{known_hosts} has another key" in trust.judge(OTHER_ED25519)
    assert not accepted.exists()


def test_a_key_that_the_user_revoked_is_not_accepted(accepted, known_hosts):
    known_hosts.write_text(f"@revoked * {line(ED25519)}\n")
    assert "revoked" in host_keys.trust(server(policy="accept-new"), accepted).judge(ED25519)
    assert not accepted.exists()


def test_an_accepted_key_is_its_owners_alone_and_said_once_with_its_place(accepted, caplog):
    with caplog.at_level(logging.WARNING):
        host_keys.trust(server(policy="accept-new"), accepted).judge(ED25519)
        host_keys.trust(server(policy="accept-new"), accepted).judge(ED25519)
    (record,) = caplog.records
    assert ED25519.get_fingerprint() in record.getMessage()
    assert str(accepted) in record.getMessage()
    assert stat.S_IMODE(accepted.stat().st_mode) == 0o600


def test_a_key_that_cannot_be_remembered_is_not_accepted(accepted):
    """It would be new again at each start: trusting anybody, without saying so."""
    accepted.parent.write_text("a file where the folder should be")
    reason = host_keys.trust(server(policy="accept-new"), accepted).judge(ED25519)
    assert "cannot be remembered" in reason
    assert ED25519.get_fingerprint() in reason


def test_a_damaged_file_of_accepted_keys_accepts_nobody(accepted):
    accepted.parent.mkdir()
    accepted.write_bytes(b"\xff\xfe\xfd\n")
    reason = host_keys.trust(server(policy="accept-new"), accepted).judge(ED25519)
    assert f"{accepted} cannot be read" in reason


def test_an_accepted_key_has_the_format_of_known_hosts(accepted):
    host_keys.trust(server("::1", 2222, policy="accept-new"), accepted).judge(ED25519)
    trusted, *_ = asyncssh.match_known_hosts(str(accepted), "::1", "", 2222)
    assert list(trusted) == [ED25519]


# -- however the host is spelled


@pytest.mark.parametrize("host", ["SFTP.Example", "sftp.example.", "Sftp.Example."])
def test_a_host_is_the_same_however_it_is_spelled(known_hosts, accepted, host):
    known_hosts.write_text(f"sftp.example {line(ED25519)}\n")
    assert host_keys.known(server(host)).judge(ED25519) is None
    trust = host_keys.trust(server(host, policy="accept-new"), accepted)
    assert "has another key for it" in trust.judge(OTHER_ED25519)
    known_hosts.write_text(f"@revoked sftp.example {line(ED25519)}\n")
    assert "revoked" in host_keys.trust(server(host, policy="accept-new"), accepted).judge(ED25519)
    assert not accepted.exists()


def test_a_key_that_was_accepted_counts_however_the_host_is_spelled_later(accepted):
    assert host_keys.trust(server("Sftp.EXAMPLE", policy="accept-new"), accepted).judge(ED25519) is None
    assert accepted.read_text().startswith("sftp.example ")
    for host in ("sftp.example", "SFTP.example", "sftp.example."):
        again = host_keys.trust(server(host, policy="accept-new"), accepted)
        assert again.judge(ED25519) is None
        assert "has another key" in again.judge(OTHER_ED25519)


def test_a_key_that_was_accepted_under_another_spelling_by_an_earlier_version_counts(accepted):
    accepted.parent.mkdir()
    accepted.write_text(f"SFTP.Example {line(ED25519)}")  # without its last line break
    assert host_keys.trust(server(policy="accept-new"), accepted).judge(OTHER_ED25519) is not None
    assert host_keys.trust(server("other", policy="accept-new"), accepted).judge(ECDSA) is None
    assert accepted.read_text() == f"SFTP.Example {line(ED25519)}\nother {line(ECDSA)}\n"


@pytest.mark.parametrize("odd", [b"@strange a b c", b"|1|bad ssh-ed25519 AAAA", b"one-word", b"a ssh-ed25519 AAAA"])
def test_an_odd_line_of_the_users_is_passed_over_with_one_warning(known_hosts, accepted, odd, caplog):
    known_hosts.write_bytes(odd + f"\nsftp.example {line(ED25519)} M\xfcller\n".encode("latin-1"))
    for _ in range(2):
        assert host_keys.known(server()).judge(ED25519) is None
        assert host_keys.trust(server("new", policy="accept-new"), accepted).judge(ED25519) is None
    said = [record.getMessage() for record in caplog.records if str(known_hosts) in record.getMessage()]
    assert len(said) == 1
    assert "line 1" in said[0]


# -- what is to be done about it


def test_the_hint_is_that_of_what_happened(known_hosts, accepted):
    """Only a key that has changed is told as changed."""

    def hint(trust, key):
        return host_keys.rejected(server(), trust.judge(key)).hint

    unknown = hint(host_keys.known(server()), ED25519)
    known_hosts.write_text(f"other.example {line(ED25519)}\n")
    assert hint(host_keys.known(server()), ED25519) == unknown
    assert "not known yet" in unknown
    assert "accept-new" in unknown
    known_hosts.write_text(f"sftp.example {line(ED25519)}\n")
    assert "another key" in hint(host_keys.known(server()), OTHER_ED25519)
    pinned = hint(host_keys.pinned(server(host_key=line(ED25519))), OTHER_ED25519)
    assert "pinned" in pinned
    assert "read again" in pinned
    known_hosts.write_text(f"@revoked sftp.example {line(ED25519)}\n")
    assert "revoked" in hint(host_keys.known(server()), ED25519)
    accepted.parent.write_text("a file where the folder should be")
    assert "free space" in hint(host_keys.known_or_new(server(), accepted), OTHER_ED25519)


# -- two programs at once


SECOND = """
import sys
from pathlib import Path
import asyncssh
from iris_communication.settings import Server
from iris_communication.transport import host_keys

host_keys.KNOWN_HOSTS = Path("/nowhere/known_hosts")
accepted, public = Path(sys.argv[1]), sys.argv[2]
server = Server("sftp.example", "iris", host_key_policy="accept-new")
trust = host_keys.trust(server, accepted)
print("ready", flush=True)
sys.stdin.readline()
print("trusted" if trust.judge(asyncssh.import_public_key(public)) is None else "refused", flush=True)
"""


def test_two_processes_that_meet_a_server_at_once_trust_one_key(accepted):
    """Both have seen that nobody knows it before either is shown a key."""
    keys = [asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip() for _ in range(2)]
    command = [sys.executable, "-c", SECOND, str(accepted)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as started:
        processes = [started.enter_context(subprocess.Popen([*command, key], **pipes)) for key in keys]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        with accepted_keys.locked(accepted):  # so that both come to where one has to wait
            for process in processes:
                process.stdin.write("go\n")
                process.stdin.flush()
        said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert sorted(said) == ["refused", "trusted"]
    assert accepted.read_text() == f"sftp.example {keys[said.index('trusted')]}\n"


def test_a_key_that_another_process_wrote_while_this_one_waited_counts(accepted):
    trust = host_keys.trust(server(policy="accept-new"), accepted)
    said = []
    with accepted_keys.locked(accepted):
        waiting = threading.Thread(target=lambda: said.append(trust.judge(OTHER_ED25519)))
        waiting.start()
        accepted_keys.add(accepted, f"sftp.example {line(ED25519)}\n")
    waiting.join(10)
    assert "has another key for it" in said[0]


def test_a_key_is_not_trusted_while_another_process_keeps_the_lock(accepted, monkeypatch):
    monkeypatch.setattr(accepted_keys, "LOCK_WAIT_S", 0.0)
    with accepted_keys.locked(accepted):
        said = host_keys.trust(server(policy="accept-new"), accepted).judge(ED25519)
    assert "another process has locked" in said
    assert not accepted.exists()


@in_a_process_of_its_own
def test_a_key_that_a_full_disk_takes_only_a_part_of_is_not_trusted_and_spoils_nothing(accepted, known_hosts):
    host_keys.KNOWN_HOSTS = known_hosts
    assert host_keys.trust(server("other", policy="accept-new"), accepted).judge(ECDSA) is None
    before = accepted.read_bytes()
    with files_no_larger_than(len(before) + 10):
        refusal = host_keys.trust(server(policy="accept-new"), accepted).judge(ED25519)
    assert "cannot be remembered" in refusal
    assert accepted.read_bytes() == before
    assert sorted(path.name for path in accepted.parent.iterdir()) == ["known_hosts", "known_hosts.lock"]
    assert host_keys.trust(server(policy="accept-new"), accepted).judge(ED25519) is None


# -- which of them decides


def test_a_pin_decides_whatever_the_policy(accepted):
    for policy in ("strict", "accept-new", "off"):
        trust = host_keys.trust(server(host_key=line(ED25519), policy=policy), accepted)
        assert trust.judge(ED25519) is None
        assert trust.judge(OTHER_ED25519) is not None


def test_strict_asks_known_hosts_and_not_what_was_once_accepted(accepted):
    host_keys.trust(server(policy="accept-new"), accepted).judge(ED25519)
    assert host_keys.trust(server(), accepted).judge(ED25519) is not None


def test_the_policy_off_trusts_anybody_and_says_so_each_time(accepted, caplog):
    with caplog.at_level(logging.WARNING):
        for key in (ED25519, OTHER_ED25519):
            assert host_keys.trust(server(policy="off"), accepted).judge(key) is None
    assert len(caplog.records) == 2
    assert "not checked" in caplog.text
    assert "anyone on the network path can impersonate it" in caplog.text


def test_accepted_keys_without_an_outbox_are_in_the_users_state_folder(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert str(host_keys.default_accepted()) == "/state/iris/known_hosts"
