"""What ssh says, line by line, and which error it is."""

import pytest

from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    CredentialsUnusable,
    HostKeyRejected,
    HostNotFound,
    JumpHostFailed,
    LinkError,
    LinkLost,
    LinkTimeout,
    SftpUnavailable,
    SshProgramMissing,
    SshProgramUnusable,
)
from iris_communication.transport.openssh.ssh_output import SshOutput, as_written, what_ended, what_failed

KEY = "iris@plant:22"

# What ssh says at level DEBUG1 on its way.
REACHED = ["debug1: Connecting to plant [10.0.0.1] port 22.", "debug1: Connection established."]
GREETED = [*REACHED, "debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1 Debian-2"]
ENCRYPTED = [*GREETED, "debug1: SSH2_MSG_NEWKEYS received"]
ASKED = [*ENCRYPTED, "debug1: Sending subsystem: sftp"]
ACCEPTED = [*ASKED, "debug2: clientloop.c:client_status_confirm():669 (pid=7): subsystem request accepted on channel 0"]
PROXIED = ["debug1: Executing proxy command: exec ssh -W '[plant]:22' jump"]


def heard(*lines):
    output = SshOutput()
    output.feed("".join(f"{line}\r\n" for line in lines).encode())
    return output


def failed(*lines):
    return what_failed(heard(*lines), KEY, "plant", 22)


@pytest.mark.parametrize(
    ("before", "line", "kind"),
    [
        ([], "ssh: Could not resolve hostname plant: Name or service not known", HostNotFound),
        ([], "ssh: Could not resolve hostname plant: Temporary failure in name resolution", HostNotFound),
        ([], "hostname contains invalid characters", HostNotFound),
        ([], "ssh: connect to host plant port 22: Connection refused", ConnectionRefused),
        ([], "ssh: connect to host plant port 22: No route to host", LinkError),
        ([], "ssh: connect to host plant port 22: Network is unreachable", LinkError),
        ([], "ssh: connect to host plant port 22: Connection timed out", LinkTimeout),
        (REACHED, "Connection timed out during banner exchange", LinkTimeout),
        (REACHED, "kex_exchange_identification: read: Connection reset by peer", LinkLost),
        (REACHED, "kex_exchange_identification: Connection closed by remote host", LinkLost),
        (REACHED, "banner exchange: Connection to 10.0.0.1 port 22: invalid format", LinkLost),
        (GREETED, "Connection closed by 10.0.0.1 port 22", LinkLost),
        (GREETED, "Connection reset by 10.0.0.1 port 22", LinkLost),
        (GREETED, "Connection to 10.0.0.1 port 22 timed out", LinkTimeout),
        (
            GREETED,
            "Unable to negotiate with 10.0.0.1 port 22: no matching cipher found. Their offer: 3des-cbc",
            SftpUnavailable,
        ),
        (GREETED, "Host key verification failed.", HostKeyRejected),
        (GREETED, "@       WARNING: REVOKED HOST KEY DETECTED!               @", HostKeyRejected),
        (ENCRYPTED, "iris@plant: Permission denied (publickey,password).", AuthenticationFailed),
        (
            ENCRYPTED,
            "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures",
            AuthenticationFailed,
        ),
        (
            ENCRYPTED,
            "Received disconnect from 10.0.0.1 port 22:2: too many authentication failures",
            AuthenticationFailed,
        ),
        (ENCRYPTED, "Received disconnect from 10.0.0.1 port 22:14: no way left", AuthenticationFailed),
        (ENCRYPTED, "Received disconnect from UNKNOWN port 65535:15: who?", AuthenticationFailed),
        (ENCRYPTED, "Received disconnect from 10.0.0.1 port 22:11: until tomorrow", LinkLost),
        (ENCRYPTED, "Connection closed by 10.0.0.1 port 22", LinkLost),
        (ASKED, "subsystem request failed on channel 0", SftpUnavailable),
        (ENCRYPTED, "channel 0: open failed: administratively prohibited: open failed", SftpUnavailable),
        (ASKED, "Timeout, server plant not responding.", LinkTimeout),
        ([], "command-line: line 0: Bad configuration option: knownhostscommand", SshProgramUnusable),
        ([], "/x/config: line 3: Bad configuration option: proxyjmp", SshProgramUnusable),
        ([], "/x/config line 3: keyword port extra arguments at end of line", SshProgramUnusable),
        ([], "Bad owner or permissions on /x/config", SshProgramUnusable),
        ([], "No user exists for uid 1234", SshProgramUnusable),
        ([], "cannot run /usr/bin/ssh: Permission denied", SshProgramMissing),
        ([*PROXIED], "ssh: connect to host jump port 22: Connection refused", JumpHostFailed),
        ([*PROXIED], "ssh: Could not resolve hostname jump: Name or service not known", JumpHostFailed),
        ([*PROXIED], "nc: command not found", JumpHostFailed),
        ([*PROXIED], "ann@jump: Permission denied (publickey).", AuthenticationFailed),
        ([*PROXIED], "Host key verification failed.", HostKeyRejected),
        ([*PROXIED], "channel 0: open failed: connect failed: Connection refused", ConnectionRefused),
        ([*PROXIED], "channel 0: open failed: administratively prohibited: open failed", JumpHostFailed),
        ([*PROXIED, *GREETED[2:], *ENCRYPTED[3:]], "iris@plant: Permission denied (publickey).", AuthenticationFailed),
    ],
)
def test_a_line_of_ssh_is_an_error_of_ours_with_its_words(before, line, kind):
    error = failed(*before, line)
    assert type(error) is kind
    assert line.strip("@ ") in str(error).replace("  ", " ") or kind is HostNotFound
    assert "debug1" not in str(error)


@pytest.mark.parametrize(
    "line",
    [
        'Load key "/x/id": bad permissions',
        'debug2: sshconnect2.c:load_identity_file():1700 (pid=7): Load key "/x/id": error in libcrypto',
        "no such identity: /x/id: No such file or directory",
        "debug2: sshconnect2.c:load_identity_file():1718 (pid=7): no passphrase given, try next key",
        "debug2: sshconnect2.c:load_identity_file():1736 (pid=7): bad passphrase given, try again...",
        'sign_and_send_pubkey: signing failed for ED25519 "/x/id" from agent: agent refused operation',
    ],
)
def test_refused_for_want_of_a_key_that_can_be_used_is_the_keys_fault(line):
    line = line.replace("debug2: sshconnect2.c:load_identity_file():1700 (pid=7): Load", "Load")
    error = failed(*ENCRYPTED, line, "iris@plant: Permission denied (publickey).")
    assert type(error) is CredentialsUnusable
    assert KEY in str(error)


def test_a_key_that_is_no_use_is_nothing_where_another_reason_was_given():
    error = failed(*ENCRYPTED, 'Load key "/x/id": bad permissions', "Connection closed by 10.0.0.1 port 22")
    assert type(error) is LinkLost


def test_the_file_of_a_key_given_as_text_is_not_named():
    output = heard('sshconnect2.c:load_identity_file():1752 (pid=7): Load key "/proc/12/fd/9": invalid format')
    assert output.lines == ['Load key "given as text": invalid format']


def test_a_line_in_place_of_the_servers_banner_is_kept():
    line = "debug1: kex_exchange_identification: banner line 0: Not allowed at this time"
    ends = ["kex_exchange_identification: Connection closed by remote host", "Connection closed by 10.0.0.1 port 22"]
    assert "Not allowed at this time; " + "; ".join(ends) in str(failed(*REACHED, line, *ends))
    assert heard(line, *ends).text == "\n".join(["Not allowed at this time", *ends])


def test_a_line_in_place_of_the_servers_banner_decides_nothing():
    line = "debug1: kex_exchange_identification: banner line 0: Permission denied, please try again."
    assert type(failed(*REACHED, line, "kex_exchange_identification: Connection closed by remote host")) is LinkLost


SIGNING = "debug2: sshconnect2.c:sign_and_send_pubkey():1345 (pid=7): sign_and_send_pubkey: "
PROVED = 'Authenticated to plant ([10.0.0.1]:22) using "publickey".'


@pytest.mark.parametrize(
    ("lines", "proofs"),
    [
        (["debug1: Offering public key: /x/my id ED25519 SHA256:abc explicit", PROVED], ["/x/my id"]),
        (["debug1: Trying private key: /x/my id", PROVED], ["/x/my id"]),
        (
            [
                "debug1: Offering public key: /x/id ED25519 SHA256:abc explicit",
                "debug1: Offering public key: /x/other RSA SHA256:def agent",
                PROVED.replace("to", "to plant (via proxy)"),
            ],
            ["/x/other"],
        ),
        (
            [
                "debug1: Offering public key: /x/cert.pub ED25519-CERT SHA256:abc explicit",
                f'{SIGNING}using private key "/x/id" from agent for certificate',
                PROVED,
            ],
            ["/x/id"],
        ),
        (
            [
                "debug1: Offering public key: /x/id ED25519 SHA256:abc",
                'Authenticated using "publickey" with partial success.',
                "debug1: Trying private key: /x/other",
                "debug1: Authentication succeeded (publickey).",  # until OpenSSH 8.8
            ],
            ["/x/id", "/x/other"],
        ),
        (["debug1: Offering public key: /x/id RSA SHA256:abc", PROVED.replace("publickey", "password")], []),
        ([PROVED], []),
    ],
    ids=["offered", "tried", "the second", "a certificate", "two of them", "a password", "an ssh of another make"],
)
def test_the_keys_that_let_us_in_are_known_by_their_files(lines, proofs):
    assert heard(*ENCRYPTED, *lines).proofs == proofs


def test_a_proof_to_a_jump_host_is_no_proof_of_ours():
    jump = ["debug1: SSH2_MSG_NEWKEYS received", "debug1: Trying private key: /x/jump", PROVED]
    assert heard(*jump, *ENCRYPTED).proofs == []


def test_the_name_of_a_file_is_known_as_ssh_writes_it():
    assert as_written('/x/my "id" 100%') == '/x/my "id" 100%'
    assert as_written("/x/ü") == r"/x/\303\274"
    assert as_written("/x\\y") == r"/x\\y"


def test_an_end_without_words_says_how_far_it_was():
    assert "ssh says nothing (it was authenticating)" in str(failed(*ENCRYPTED))


def test_the_servers_banner_before_authentication_decides_nothing_about_the_way_there():
    """A banner may say anything, also what ssh says about a host key."""
    error = failed(*ASKED, "Host key verification failed.", "subsystem request failed on channel 0")
    assert type(error) is SftpUnavailable


def test_every_end_after_the_beginning_is_a_lost_link_with_the_last_words():
    output = heard(*ACCEPTED, "Timeout, server plant not responding.")
    error = what_ended(output, KEY, 255)
    assert type(error) is LinkLost
    assert "Timeout, server plant not responding." in str(error)
    assert "status 11" in str(what_ended(heard(*ACCEPTED), KEY, 11))


def test_words_come_in_pieces_and_the_last_line_may_lack_its_end():
    output, text = SshOutput(), "\r\n".join([*ACCEPTED, "bye"]).encode()
    for at in range(len(text)):
        output.feed(text[at : at + 1])
    output.end()
    assert output.software == "OpenSSH_9.2p1 Debian-2"
    assert output.doing == "speaking SFTP"
    assert output.text == "bye"


def test_the_kept_words_are_bounded_and_printable():
    output = heard(*(f"line {number} \x1b[31m" for number in range(1000)), "x" * 100_000)
    assert len(output.lines) <= 40
    assert max(map(len, output.lines)) <= 300
    assert "\x1b" not in output.text
    output.feed(b"y" * 1_000_000)
    output.end()
    assert len(output.text) < 20_000


@pytest.mark.parametrize("end", ["", "\r\n"])
@pytest.mark.parametrize(
    "pieces",
    [
        ["This account is not available."],
        ["This account is ", "not available."],
        ["This ", "account ", "is ", "not ", "available."],
    ],
)
def test_the_servers_words_are_put_together_however_the_lines_of_ssh_come_between(pieces, end):
    own = ["debug1: client_input_channel_req: channel 0 rtype exit-status reply 0", "debug1: channel 0: free"]
    said = "".join(f"{piece}{own[place % 2]}\r\n" for place, piece in enumerate(pieces[:-1]))
    output = heard(*ACCEPTED)
    output.feed(
        f"{said}{pieces[-1]}{end}debug1: Exit status 1\r\nTransferred: sent 1528, received 3032 bytes\r\n".encode()
    )
    output.end()
    assert output.lines == ["This account is not available."]
    assert output.exit_status == 1


def test_a_secret_that_comes_back_in_pieces_with_lines_of_ssh_in_between_is_not_told():
    output = SshOutput(hidden=["open sesame"])
    output.feed("".join(f"{line}\r\n" for line in ACCEPTED).encode())
    output.feed(b"who is open debug1: channel 0: free\r\nsesame?")
    output.end()
    assert "open" not in output.text
    assert "sesame" not in output.text


def test_a_character_whose_bytes_a_line_of_ssh_stands_between_is_whole():
    output = heard(*ACCEPTED)
    output.feed(b"abgelaufen: \xc3debug1: channel 0: free\r\n\xa4ndere es\r\n")
    assert output.lines == ["abgelaufen: \u00e4ndere es"]


def test_words_without_an_end_for_ever_are_bounded():
    output = heard(*ACCEPTED)
    for _ in range(1000):
        output.feed(b"x" * 1000 + b"debug1: channel 0: free\r\n")
    output.end()
    assert sum(map(len, output.lines)) < 10_000


def test_the_servers_words_are_not_put_together_with_what_ssh_says_of_its_end():
    output = heard(*ACCEPTED, "going down debug1: channel 0: free", "Connection to 10.0.0.1 closed by remote host.")
    assert output.lines == ["going down", "Connection to 10.0.0.1 closed by remote host."]
