"""A client finds out an owner that does not answer."""

import contextlib
import threading

import pytest

from iris_communication.control.client import ControlClient, OwnerSilent
from iris_communication.control.protocol import LINE_BYTES_MAX
from iris_communication.errors import Effect, IrisError
from iris_communication.outbox.orders import RetryItems
from tests.unit.iris_communication.control.recording_outbox import RecordingOutbox
from tests.unit.iris_communication.control.server.listening import SHORT_S, WAIT_S, listening, opened


class SilentOwner:
    """Listens, and never says a word: a process that hangs."""

    def __init__(self, folder):
        self.socket = listening(folder)

    def close(self):
        self.socket.close()


class SameAnswers(SilentOwner):
    """Answers everybody with the same bytes, then hangs up."""

    def __init__(self, folder, *answers):
        super().__init__(folder)
        self._answers = answers
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self):
        for answer in self._answers:
            connection, _ = self.socket.accept()
            with connection, contextlib.suppress(BrokenPipeError):  # a client need not stay for it
                connection.recv(LINE_BYTES_MAX)
                connection.sendall(answer)

    def close(self):
        self._thread.join(WAIT_S)
        super().close()


def test_an_owner_that_hangs_is_found_out_before_anything_is_asked(tmp_path):
    owner = SilentOwner(tmp_path)
    with pytest.raises(OwnerSilent, match="did not answer 'hello': no answer in time") as raised:
        ControlClient(tmp_path, answer_s=SHORT_S)
    assert raised.value.effect is Effect.NONE
    owner.close()


HELLO = b'{"protocol": 1, "pid": 7}\n'


@pytest.mark.parametrize("answer", [b"", b"{", b"[]\n", b"{}\n", b"\xff\n"])
def test_a_request_without_an_answer_may_have_been_run(tmp_path, answer):
    owner = SameAnswers(tmp_path, HELLO, answer)
    with pytest.raises(OwnerSilent, match="did not answer 'retry'") as raised:
        ControlClient(tmp_path).execute(RetryItems(["a"]))
    assert raised.value.effect is Effect.UNKNOWN
    owner.close()


def test_an_answer_without_an_end_is_not_read_for_ever(tmp_path):
    owner = SameAnswers(tmp_path, HELLO, b" " * (3 * LINE_BYTES_MAX))
    with pytest.raises(OwnerSilent, match="its answer is incomplete"), contextlib.suppress(ConnectionResetError):
        ControlClient(tmp_path).execute(RetryItems(["a"]))
    owner.socket.close()


def test_an_owner_of_another_version_says_so(tmp_path):
    owner = SameAnswers(tmp_path, b'{"error": "ErrandRefused", "message": "speaks protocol 2, not 1", "hint": ""}\n')
    with pytest.raises(IrisError, match="speaks protocol 2"):
        ControlClient(tmp_path)
    owner.close()


def test_an_owner_that_has_ended_since_was_asked_nothing(tmp_path):
    with opened(tmp_path, RecordingOutbox()):
        client = ControlClient(tmp_path)
    with pytest.raises(OwnerSilent) as raised:
        client.execute(RetryItems(["a"]))
    assert raised.value.effect is Effect.NONE
