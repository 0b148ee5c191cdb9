"""A key that was accepted unseen is remembered, by one process at a time."""

import contextlib
import logging
import stat
import subprocess
import sys
import threading

import asyncssh
import pytest

from iris_communication.transport import accepted_keys, host_keys
from tests.own_process import files_no_larger_than, in_a_process_of_its_own
from tests.unit.iris_communication.transport.host_keys.servers import ECDSA, ED25519, OTHER_ED25519, line, server


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
