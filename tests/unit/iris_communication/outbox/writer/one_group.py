"""Messages that the writer takes up together."""

from concurrent.futures import ThreadPoolExecutor

from tests.unit.iris_communication.outbox.fake_parts import LONG_S


def in_one_group(outbox, path, *messages):
    """Send messages while the writer commits the acceptance of `path`: they are one group then."""
    outbox.store.commit_begins.clear()
    outbox.store.gate.clear()
    with ThreadPoolExecutor(1) as caller:
        accepted = caller.submit(outbox.accept, path)
        assert outbox.store.commit_begins.wait(LONG_S)
        outbox.writer.send(messages)
        outbox.store.gate.set()
        accepted.result(LONG_S)
