import io
import logging
import queue
import re
import threading

import pytest

from iris_camera import logs
from iris_camera.logs import HandOver, LineFormatter, hide, start_logging, stop_logging, without_secrets

WAIT_S = 20.0
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----"
log = logging.getLogger("iris_camera.test")


@pytest.fixture(autouse=True)
def no_secret_is_known_yet(monkeypatch):
    monkeypatch.setattr(logs, "known_secrets", logs.Secrets())


@pytest.fixture
def written():
    """Standard error of a started logging, stopped at the end whatever happened."""
    root = logging.getLogger()
    level = root.level
    stream = io.StringIO()
    start_logging("info", stream=stream)
    yield stream
    stop_logging()
    root.setLevel(level)


def lines_after_stopping(stream):
    stop_logging()
    return stream.getvalue().splitlines()


class Unprintable:
    """An argument whose str() raises."""

    def __str__(self):
        raise ValueError("password=hunter2")


class StuckStream(io.StringIO):
    """A standard error that is not read: a write returns when the test releases it."""

    def __init__(self):
        super().__init__()
        self.writing = threading.Event()
        self.let_go = threading.Event()

    def write(self, text):
        self.writing.set()
        self.let_go.wait(WAIT_S)
        return super().write(text)


def fail(text):
    raise OSError(text)


def test_a_line_has_utc_time_level_thread_and_message(written):
    log.warning("camera %s is slow", "line-1")
    (line,) = lines_after_stopping(written)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING MainThread  camera line-1 is slow", line)


def test_the_time_is_utc():
    record = logging.LogRecord("iris", logging.INFO, __file__, 1, "hello", None, None)
    record.created, record.msecs = 1_700_000_000.5, 500.0
    assert LineFormatter().format(record).startswith("2023-11-14T22:13:20.500Z INFO    ")


def test_a_traceback_follows_its_line(written):
    try:
        fail("the disk is gone")
    except OSError:
        log.exception("line-1 cannot write")
    lines = lines_after_stopping(written)
    assert lines[0].endswith("line-1 cannot write")
    assert lines[1].startswith("Traceback")
    assert lines[-1] == "OSError: the disk is gone"


def test_arguments_are_rendered_when_logged_not_when_written(written):
    names = ["line-1"]
    log.info("cameras: %s", names)
    names.append("line-2")
    assert lines_after_stopping(written)[0].endswith("cameras: ['line-1']")


def test_lines_below_the_level_are_not_written(written):
    log.debug("a detail")
    assert lines_after_stopping(written) == []


def test_a_talkative_library_is_logged_from_its_warnings_on_and_wholly_with_debug(written):
    library = logging.getLogger("asyncssh")
    library.info("Beginning auth for user iris")
    library.warning("the host key is weak")
    start_logging("DEBUG")
    library.info("Auth succeeded")
    assert [line.rpartition("  ")[2] for line in lines_after_stopping(written)] == [
        "the host key is weak",
        "Auth succeeded",
    ]


def test_starting_twice_writes_a_line_once_and_takes_the_new_level(written):
    start_logging(logging.DEBUG)
    log.debug("a detail")
    assert len(lines_after_stopping(written)) == 1


def test_stopping_twice_or_without_a_start_does_nothing(written):
    stop_logging()
    handlers = list(logging.getLogger().handlers)
    stop_logging()
    assert logging.getLogger().handlers == handlers
    assert not any(isinstance(handler, HandOver) for handler in handlers)


def test_logging_can_be_started_again(written):
    stop_logging()
    second = io.StringIO()
    start_logging("INFO", stream=second)
    log.info("back again")
    assert lines_after_stopping(second)[0].endswith("back again")
    assert written.getvalue() == ""


def test_the_listener_thread_ends_with_the_stop(written):
    assert "iris-logs" in [thread.name for thread in threading.enumerate()]
    stop_logging()
    assert "iris-logs" not in [thread.name for thread in threading.enumerate()]


def test_a_level_without_meaning_is_refused():
    with pytest.raises(ValueError, match="CHATTY"):
        start_logging("chatty")


@pytest.mark.parametrize(
    "text",
    [
        "cannot open rtsp://admin:hunter2@10.0.0.7/stream",
        "cannot open rtsp://admin:hunter2@x@10.0.0.7/stream",
        "cannot open rtsp://admin:p/hunter2@10.0.0.7:554/stream",
        "sftp://iris:hunter2@[::1]:22",
        "https://:hunter2@host",
        "password=hunter2",
        "password = 'hunter2'",
        "SftpUploadRequest(host='h', password='hun\\'hunter2', port=22)",
        '{"host": "h", "password": "hunter2"}',
        "{'host': 'h', 'proxy_password': 'hunter2'}",
        "{'private_key': b'hunter2'}",
        "ftp_passwd=hunter2&x=1",
        'passphrase: "hunter2"',
        "api_key=hunter2, token=hunter2",
        "Authorization: Basic hunter2",
        KEY.replace("b3BlbnNzaC1rZXktdjEAAAAA", "hunter2"),
        repr(KEY.replace("b3BlbnNzaC1rZXktdjEAAAAA", "hunter2")),
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2 and the rest was cut off",
    ],
)
def test_a_text_that_looks_like_a_secret_is_removed(text):
    assert "hunter2" not in without_secrets(text)
    assert "***" in without_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "delivered to iris@127.0.0.1:2222",
        "see http://127.0.0.1:5000/api/state and mail to a@b.example",
        "http://127.0.0.1:5000/?to=a@b.example",
        "wrong password: iris@10.0.0.7 refused it; check the password of server line-1",
        "the server offers: publickey, password",
        "2026-11-23T21:16:27.123Z [::1]:22 max_tokens=5",
    ],
)
def test_a_text_that_is_no_secret_stays(text):
    assert without_secrets(text) == text


def test_the_host_of_a_url_stays_readable():
    text = "cannot open rtsp://admin:hunter2@10.0.0.7/stream: timed out"
    assert without_secrets(text) == "cannot open rtsp://admin:***@10.0.0.7/stream: timed out"


def test_a_registered_secret_is_removed_from_message_arguments_and_traceback(written):
    secret = "hunter2"
    hide(secret)
    try:
        fail(f"the server said: {secret}")
    except OSError:
        log.exception("first %s and %s", secret, [secret])
    lines = lines_after_stopping(written)
    assert lines[0].endswith("first *** and ['***']")
    assert lines[-1] == "OSError: the server said: ***"


@pytest.mark.parametrize("shown", ["pä ss/w@rd", "p%C3%A4%20ss%2Fw%40rd", "p\\u00e4 ss/w@rd"])
def test_a_registered_secret_is_removed_in_its_escaped_forms(shown):
    hide("pä ss/w@rd")
    assert without_secrets(f"({shown})") == "(***)"


def test_a_registered_key_is_removed_line_by_line():
    hide("first-line-of-the-key-0001\nsecond-line-of-the-key-02\n")
    assert without_secrets("read second-line-of-the-key-02 from disk") == "read *** from disk"


def test_the_longest_of_two_overlapping_secrets_goes_whole():
    hide("hunter2")
    hide("hunter2-and-more")
    assert without_secrets("x hunter2-and-more x hunter2 x") == "x *** x *** x"


def test_a_short_secret_is_removed_as_a_word_only():
    hide("cam")
    assert without_secrets("cam: camera") == "***: camera"


@pytest.mark.parametrize("nothing", ["", " ", "\n"])
def test_an_empty_secret_hides_nothing(nothing):
    hide(nothing)
    assert without_secrets("a b\nc") == "a b\nc"


@pytest.mark.parametrize(("arguments", "error"), [((Unprintable(), 1), "ValueError"), (("too few",), "TypeError")])
def test_a_message_that_cannot_be_rendered_is_replaced_without_its_text(arguments, error, capsys):
    handler = HandOver(limit=2)
    handler.handle(logging.LogRecord("iris", logging.INFO, __file__, 1, "%s %s", arguments, None))
    text = handler.queue.get_nowait().getMessage()
    assert text == f"a message of iris (line 1) could not be rendered: {error}"
    assert capsys.readouterr().err == ""
    handler.close()


def test_line_breaks_and_terminal_commands_in_a_message_stay_in_its_line(written):
    log.info("file %s", "a\nb\x1b[2J.csv")
    (line,) = lines_after_stopping(written)
    assert line.endswith(r"file a\nb\x1b[2J.csv")


def test_a_secret_with_a_line_break_is_removed_although_line_breaks_are_escaped(written):
    log.info("key: %s", KEY)
    (line,) = lines_after_stopping(written)
    assert line.endswith("key: *** (private key)")


def test_a_standard_error_nobody_reads_delays_neither_caller_nor_stop(monkeypatch):
    monkeypatch.setattr(logs, "STOP_TIMEOUT_S", 0.0)
    stuck = StuckStream()
    level = logging.getLogger().level
    start_logging("INFO", stream=stuck)
    try:
        log.info("one")
        assert stuck.writing.wait(WAIT_S)
        log.info("two")
        stop_logging()
        assert stuck.getvalue() == ""
    finally:
        stuck.let_go.set()
        stop_logging()
        logging.getLogger().setLevel(level)


def test_lines_beyond_the_limit_are_dropped_counted_and_reported():
    handler = HandOver(limit=2)
    record = logging.LogRecord("iris", logging.INFO, __file__, 1, "a line", None, None)
    for _ in range(5):
        handler.handle(record)
    assert handler.lost == 3
    handler.queue.get_nowait()
    handler.handle(record)
    waiting = [handler.queue.get_nowait().getMessage() for _ in range(3)]
    assert waiting[1].startswith("3 log lines were dropped")
    assert handler.lost == 0
    with pytest.raises(queue.Empty):
        handler.queue.get_nowait()
    handler.close()


def test_a_closed_standard_error_raises_nowhere(written, capsys):
    written.close()
    log.warning("nobody will see this")
    stop_logging()
    assert capsys.readouterr().err == ""


def test_a_line_after_the_stop_holds_no_secret_either(written, capsys):
    stop_logging()
    assert isinstance(logging.lastResort.formatter, LineFormatter)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 3_900 + " rtsp://admin:hunter2@10.0.0.7/stream",
        "x" * 63_990 + " rtsp://admin:hunter2@10.0.0.7/stream",
        "x" * 63_980 + " rtsp://admin:p/hunter2@10.0.0.7/stream",
        "x" * 63_985 + " password=hunter2",
        "x" * 63_985 + '{"password": "hunter2"}',
        "-----BEGIN OPENSSH PRIVATE KEY-----" + "A" * 70_000 + "hunter2",
        "password='" + "A" * 70_000 + "hunter2'",
    ],
)
@pytest.mark.parametrize("behind", [0, 5, 70_000])
def test_a_secret_that_is_cut_in_two_is_not_shown(text, behind):
    assert "hunt" not in without_secrets(text + "\n" * behind)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://a:p/w@h,rtsp://b:q/z@i", "rtsp://a:***@i"),
        ("rtsp://a:x@h,rtsp://b:q/z@i", "rtsp://a:***@h,rtsp://b:***@i"),
        ("http://h:80/?u=rtsp://a:p/w@i", "http://h:80/?u=rtsp://a:***@i"),
        ("<rtsp://a:p/w@h> and <b@c>", "<rtsp://a:***@h> and <b@c>"),
        ("rtsp://a:b<c@h", "rtsp://a:***@h"),
    ],
)
def test_each_of_several_passwords_in_a_word_is_removed(text, shown):
    assert without_secrets(text) == shown


def test_a_message_of_megabytes_is_one_line_of_limited_length(written):
    log.warning("the server says: %s", "://a:" * 1_000_000)
    (line,) = lines_after_stopping(written)
    assert len(line) == logs.LINE_CHARACTERS_MAX


def test_a_traceback_of_megabytes_is_cut_line_by_line(written):
    try:
        fail("the server says: " + "x\x1b[2J" * 1_000_000)
    except OSError:
        log.exception("line-1 cannot write")
    lines = lines_after_stopping(written)
    assert lines[1].startswith("Traceback")
    assert lines[-1].startswith(r"OSError: the server says: x\x1b[2Jx")
    assert max(map(len, lines)) <= logs.LINE_CHARACTERS_MAX
