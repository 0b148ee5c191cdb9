"""May one more file be accepted? Asked by the keeper alone, so two callers cannot both take the last place."""

from iris_communication.errors import OutboxFull


def admit(queue_size: int, max_queue_size: int) -> None:
    """Raises OutboxFull when `queue_size` (waiting and in flight; the dead do not count) has reached the limit."""
    if queue_size >= max_queue_size:
        raise OutboxFull(f"the outbox holds {queue_size} of at most {max_queue_size} files")
