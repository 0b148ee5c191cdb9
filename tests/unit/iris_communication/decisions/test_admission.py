import pytest

from iris_communication.decisions.admission import admit
from iris_communication.errors import OutboxFull


@pytest.mark.parametrize(("queue_size", "max_queue_size"), [(0, 1), (99, 100)])
def test_there_is_room_below_the_limit(queue_size, max_queue_size):
    admit(queue_size, max_queue_size)


@pytest.mark.parametrize(("queue_size", "max_queue_size"), [(1, 1), (100, 100), (101, 100)])
def test_at_the_limit_it_is_full_and_says_how_full(queue_size, max_queue_size):
    with pytest.raises(OutboxFull, match=f"{queue_size} of at most {max_queue_size}") as caught:
        admit(queue_size, max_queue_size)
    assert "offer the file again" in caught.value.hint
