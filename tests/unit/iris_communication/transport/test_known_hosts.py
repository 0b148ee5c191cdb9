"""A known_hosts is read as OpenSSH's own programs read it."""

import base64
import itertools
import subprocess

import asyncssh
import pytest

from iris_communication.transport.known_hosts import KnownHosts, listed_name

HINT = "make system-packages"
KEY, OTHER = (asyncssh.generate_private_key("ssh-ed25519").convert_to_public() for _ in range(2))
LINE = KEY.export_public_key().decode().strip()
OTHER_LINE = OTHER.export_public_key().decode().strip()
HASHED = "|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|mC9U1Hn8aOn9+0sC4FIhNRfq590="  # sftp.example


def odd_key(kind, *facts):
    fields = b"".join(len(each).to_bytes(4, "big") + each for each in (kind, *facts))
    return kind + b" " + base64.b64encode(fields)


def known(content):
    return KnownHosts(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(
    "hosts",
    [
        "sftp.example",
        "SFTP.Example",
        "other,Sftp.example",
        "*.EXAMPLE",
        "s?tp.example",
        "*,!other",
        HASHED,
        "[SFTP.example]:2222",
        "[*]:2222",
    ],
)
@pytest.mark.parametrize("host", ["sftp.example", "SFTP.EXAMPLE", "sftp.example."])
def test_a_host_is_found_however_it_is_spelled_and_ssh_keygen_finds_it_too(hosts, host, tmp_path, need_program):
    port = 2222 if hosts.startswith("[") else 22
    assert known(f"{hosts} {LINE}\n").of(host, port).trusted == [KEY]
    path = tmp_path / "known_hosts"
    path.write_text(f"{hosts} {LINE}\n")
    name = listed_name(host.removesuffix("."), port)
    command = [need_program("ssh-keygen", hint=HINT), "-F", name, "-f", path]
    assert LINE.split()[1] in subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize(
    "hosts",
    ["other.example", "*,!SFTP.example", "!sftp.example", "sftp?", "sftp.example.org", "[sftp.example]:22", "**x"],
)
def test_a_host_that_no_pattern_fits_is_not_found(hosts, tmp_path, need_program):
    assert known(f"{hosts} {LINE}\n").of("sftp.example", 22).trusted == []
    path = tmp_path / "known_hosts"
    path.write_text(f"{hosts} {LINE}\n")
    command = [need_program("ssh-keygen", hint=HINT), "-F", "sftp.example", "-f", path]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).stdout == b""


def test_a_name_that_is_not_ascii_is_found_as_it_is_looked_up():
    assert known(f"xn--mller-kva.example {LINE}\n").of("MÜLLER.example", 22).trusted == [KEY]


@pytest.mark.parametrize("host", ["PLANT", "plant."])
def test_a_revoked_key_is_found_however_the_host_is_spelled(host):
    assert known(f"@revoked Plant {LINE}\n").of(host, 22).revoked == [KEY]
    assert known(f"@revoked plant {LINE}\n").of(host, 2222).revoked == [KEY]
    assert known(f"@revoked * {LINE}\n").of(host, 2222).revoked == [KEY]


def test_a_key_of_the_host_alone_helps_a_port_that_is_not_listed_and_contradicts_none():
    listed = known(f"plant {LINE}\n").of("plant", 2222)
    assert (listed.trusted, listed.alone) == ([], [KEY])
    listed = known(f"plant {LINE}\n[plant]:2222 {OTHER_LINE}\n").of("plant", 2222)
    assert (listed.trusted, listed.alone) == ([OTHER], [])


def test_an_authority_for_certificates_is_no_key_of_a_hosts():
    found = known(f"@cert-authority * {LINE}\n")
    assert found.of("plant", 22) == ([], [], [])
    assert found.odd == []


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (b"@strange plant ssh-ed25519 AAAA", "unknown marker"),
        (b"one-word", "lacks"),
        (b"plant ssh-ed25519", "lacks"),
        (b"|1|bad " + LINE.encode(), "hash"),
        (b"|1|b@d|b@d " + LINE.encode(), "hash"),
        (b"|2|AAAA|AAAA " + LINE.encode(), "hash"),
        (b"plant ssh-ed25519 AAAA", "key cannot be read"),
        (b"plant 1024 35 1234567", "key cannot be read"),
        (b"\xff\xfe\xfd", "lacks"),
        (b"plant " + odd_key(b"ssh-rsa", b"\xff", b"\xff" * 40), "key cannot be read"),  # of numbers below nothing
        (b"plant " + odd_key(b"ssh-rsa", b"\x03", b""), "key cannot be read"),
        (b"plant " + odd_key(b"ecdsa-sha2-nistp256", b"nistp256", b"\x04" + b"\1" * 64), "key cannot be read"),
        (b"@revoked plant " + odd_key(b"ssh-dss", b"\5", b"\3", b"\2", b"\1"), "key cannot be read"),
    ],
    ids=itertools.count(),
)
def test_a_line_that_cannot_be_read_takes_none_of_the_others_with_it(odd, why):
    found = known(odd + b"\n" + f"plant {LINE}\n".encode())
    assert found.of("plant", 22).trusted == [KEY]
    ((number, told),) = found.odd
    assert number == 1
    assert why in told


@pytest.mark.parametrize("comment", [b"M\xfcller", "Müller".encode(), b"a b c"])
def test_a_comment_may_be_in_any_encoding(comment):
    found = known(f"plant {LINE} ".encode() + comment + b"\r\n# " + comment + b"\n\n")
    assert found.of("plant", 22).trusted == [KEY]
    assert found.odd == []


def test_a_hostile_pattern_takes_no_time():
    assert known(f"{'a*' * 2000}b {LINE}\n").of("a" * 255, 22).trusted == []
