import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.sftp.token_bucket import SAVED_S, TokenBucket

START_S = 1_000_000.0  # a machine that has been up for long


def sent_within(bucket, seconds, piece_bytes, start_s=START_S):
    """(time, size) of every piece that an eager sender gets through."""
    now_s, sent = start_s, []
    while now_s < start_s + seconds:
        if bucket.room_bytes(now_s) >= piece_bytes:
            bucket.spend(piece_bytes)
            sent.append((now_s, piece_bytes))
        else:
            now_s += bucket.wait_s(piece_bytes, now_s)
    return sent


@pytest.mark.parametrize("bytes_per_s", [10.0, 1_000.0, 125_000.0, 12_500_000.0])
def test_as_many_bytes_go_in_a_minute_as_the_rate_allows(bytes_per_s):
    bucket = TokenBucket(bytes_per_s, START_S)
    sent = sum(size for _, size in sent_within(bucket, 60.0, bucket.grain_bytes))
    assert 0.97 * 60 * bytes_per_s <= sent <= 60 * bytes_per_s + SAVED_S * bytes_per_s + bucket.grain_bytes


@settings(derandomize=True, deadline=None, max_examples=100, database=None)
@given(
    bytes_per_s=st.floats(100.0, 1e8),
    pauses=st.lists(st.floats(0.0, 100.0), max_size=6),
    share=st.floats(0.01, 1.0),
)
def test_no_window_of_a_second_has_more_than_one_and_a_half_seconds_worth(bytes_per_s, pauses, share):
    bucket, now_s, sent = TokenBucket(bytes_per_s, START_S), START_S, []
    piece_bytes = max(1, int(bucket.grain_bytes * share))
    for pause_s in [0.0, *pauses]:
        now_s += pause_s
        sent += sent_within(bucket, 2.0, piece_bytes, now_s)[:200]
        now_s = max([now_s, *(at_s for at_s, _ in sent)])
    for at_s, _ in sent:
        window = sum(size for other_s, size in sent if at_s <= other_s < at_s + 1.0)
        assert window <= (1.0 + SAVED_S) * bytes_per_s + piece_bytes


def test_a_pause_buys_no_burst():
    bucket = TokenBucket(1000.0, START_S)
    assert bucket.room_bytes(START_S + 3600.0) == 1000 * SAVED_S


def test_a_wait_is_as_long_as_it_takes():
    bucket = TokenBucket(1000.0, START_S)
    bucket.spend(bucket.room_bytes(START_S))
    assert bucket.wait_s(250, START_S) == pytest.approx(0.25)
    assert bucket.room_bytes(START_S + 0.25) == 250


def test_a_wait_always_moves_the_clock():
    bucket = TokenBucket(1e9, 4e9)
    assert 4e9 + bucket.wait_s(1, 4e9) > 4e9


def test_a_clock_that_stands_still_gives_nothing():
    bucket = TokenBucket(1000.0, START_S)
    bucket.spend(250)
    assert bucket.room_bytes(START_S) == 0


def test_a_rate_of_less_than_a_byte_a_second_still_sends_bytes():
    bucket = TokenBucket(0.5, START_S)
    assert bucket.grain_bytes == 1
    assert sum(size for _, size in sent_within(bucket, 60.0, 1)) == pytest.approx(30, abs=2)
