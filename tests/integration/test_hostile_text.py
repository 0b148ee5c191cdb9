"""Long texts of a server, texts that slow a search down, and terminal sequences, on both transports."""

import logging

import asyncssh
import pytest

from iris_camera.logs import LineFormatter
from iris_communication.admin.audit import Audit
from iris_communication.plain_text import ERROR_TEXT_MAX, PEER_TEXT_MAX
from tests.integration.uploading import IN_A_HURRY, LONG_S, running, small_files, submit_all, wait_until
from tests.servers.asyncssh_server import AsyncSshServer

FILES = 5
LOG_MAX, DATABASE_MAX = 100_000, 2_000_000


def refusing_with(text):
    class Refusing(asyncssh.SFTPServer):
        """Refuses every file, with this text."""

        def open(self, path, pflags, attrs):
            raise asyncssh.SFTPFailure(text)

    return Refusing


@pytest.fixture(params=["asyncssh", "ssh"])
def transport(request, need_program):
    if request.param == "ssh":
        need_program("ssh", hint="make system-packages")
    return request.param


@pytest.mark.parametrize(
    "said",
    ["://a:" * 8_000, "\x1b[2J\u202e\n" * 4_000, "password=" * 4_000, "exceed " * 6_000],
    ids=["urls", "a terminal's commands", "secrets", "a quota"],
)
def test_a_long_text_of_a_refusal_is_cut_and_clean_in_the_log_and_in_the_outbox(tmp_path, transport, said, caplog):
    caplog.set_level(logging.INFO)
    server = AsyncSshServer(tmp_path / "server", sftp_server=refusing_with(said))
    with server, running(tmp_path / "outbox", IN_A_HURRY) as uploader:
        info = {**server.info("/in"), "transport": transport}
        submit_all(uploader, info, small_files(FILES), tmp_path)
        wait_until(lambda: uploader.get_stats()["total_failed"] == FILES, LONG_S)
    lines = [LineFormatter().format(record) for record in caplog.records]
    assert sum(map(len, lines)) < LOG_MAX
    assert not any(record.exc_info for record in caplog.records)
    assert not any(character in "".join(lines) for character in "\x1b\u202e\n")
    errors = [item["error"]["message"] for item in Audit(tmp_path / "outbox").items()]
    assert len(errors) == FILES
    assert all(len(message) <= PEER_TEXT_MAX + 200 for message in errors)
    assert not any(character in "".join(errors) for character in "\x1b\u202e\n")
    assert sum(path.stat().st_size for path in (tmp_path / "outbox").glob("outbox.db*")) < DATABASE_MAX


def test_an_answer_of_megabytes_counts_as_the_servers_fault_and_not_the_files(tmp_path, transport, caplog):
    server = AsyncSshServer(tmp_path / "server", sftp_server=refusing_with("://a:" * 700_000))
    with server, running(tmp_path / "outbox", IN_A_HURRY) as uploader:
        info = {**server.info("/in"), "transport": transport}
        submit_all(uploader, info, small_files(FILES), tmp_path)
        wait_until(lambda: "an answer of 3,500," in str(uploader.get_details()["servers"]), LONG_S)
        assert uploader.get_stats()["total_failed"] == 0
        assert len(str(uploader.get_details())) < 10 * ERROR_TEXT_MAX
    assert sum(len(record.getMessage()) for record in caplog.records) < LOG_MAX


def test_a_refusal_that_repeats_our_password_has_it_stored_logged_and_shown_nowhere(tmp_path, transport, caplog):
    caplog.set_level(logging.INFO)

    class RepeatsThePassword(asyncssh.SFTPServer):
        """Refuses every file, as a script might: with the login that was tried."""

        def open(self, path, pflags, attrs):
            raise asyncssh.SFTPFailure(f"login iris/{server.password} may not write")

    server = AsyncSshServer(tmp_path / "server", sftp_server=RepeatsThePassword)
    with server, running(tmp_path / "outbox", IN_A_HURRY) as uploader:
        info = {**server.info("/in", by="password"), "transport": transport}
        submit_all(uploader, info, small_files(1), tmp_path)
        wait_until(lambda: uploader.get_stats()["total_failed"] == 1, LONG_S)
        shown = str(uploader.get_details())
    stored = b"".join(path.read_bytes() for path in (tmp_path / "outbox").glob("outbox.db*"))
    for text in (shown, caplog.text, stored.decode("latin-1")):
        assert server.password not in text
        assert "login iris/(a secret) may not write" in text
