"""Which parts of a file are missing, and where what is there is looked at. How they are written is shown by
`delivery/test_in_parts.py`."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from iris_communication.sftp.conversations.parts import SAMPLE_BYTES, PartCut, PartFile, missing_of, seams, shares

SIZES = st.integers(1, 10**9)


@given(SIZES, st.integers(1, 8))
def test_shares_are_the_whole_file_once(size_bytes, count):
    parts = shares(size_bytes, count)
    assert len(parts) == count
    assert parts[0].offset == 0
    assert all(one.offset + one.size_bytes == other.offset for one, other in itertools.pairwise(parts))
    assert sum(parts[-1]) == size_bytes
    assert max(part.size_bytes for part in parts) - min(part.size_bytes for part in parts) <= 1


@given(st.integers(0, 10**9), SIZES, st.data())
def test_the_missing_rest_of_a_part_ends_where_the_part_does(offset, size_bytes, data):
    acknowledged_bytes = data.draw(st.integers(0, size_bytes))
    missing = missing_of(PartFile(offset, size_bytes), acknowledged_bytes)
    if acknowledged_bytes == size_bytes:
        assert missing == ()
    else:
        assert missing == (PartFile(offset + acknowledged_bytes, size_bytes - acknowledged_bytes),)


@given(st.integers(8, 10**8), st.integers(1, 4), st.data())
def test_samples_of_what_a_cut_left_are_never_of_what_is_missing(size_bytes, count, data):
    parts = shares(size_bytes, count)
    reached = [data.draw(st.integers(0, part.size_bytes)) for part in parts]
    missing = tuple(left for part, at in zip(parts, reached, strict=True) for left in missing_of(part, at))
    samples = [*PartCut(b"temp", size_bytes, missing).ends()]
    for offset, sample_bytes in samples:
        assert 0 < sample_bytes <= SAMPLE_BYTES
        assert not any(offset < sum(part) and part.offset < offset + sample_bytes for part in missing)
    # Each piece that is known to be there is looked at where it ends: before a missing part, or with the file.
    ends = {sum(sample) for sample in samples}
    begins = {part.offset for part in missing if part.offset} | {size_bytes}
    assert ends == begins - {sum(part) for part in missing}


def test_a_file_of_which_nothing_is_missing_is_looked_at_where_it_ends():
    assert [*PartCut(b"temp", 10**6, ()).ends()] == [PartFile(10**6 - SAMPLE_BYTES, SAMPLE_BYTES)]


@given(st.integers(8, 10**8), st.integers(1, 4), st.data())
def test_known_and_missing_parts_are_the_whole_file(size_bytes, count, data):
    missing = tuple(part for part in shares(size_bytes, count) if data.draw(st.booleans()))
    assert PartCut(b"temp", size_bytes, missing).known_bytes + sum(part.size_bytes for part in missing) == size_bytes


@given(st.integers(8, 10**8), st.integers(1, 8))
def test_seams_lie_within_the_file_and_around_each_beginning(size_bytes, count):
    parts = shares(size_bytes, count)
    looked_at = [*seams(parts)]
    assert all(part.size_bytes > 0 and part.offset >= 0 and sum(part) <= size_bytes for part in looked_at)
    assert {part.offset for part in parts if part.size_bytes} <= {part.offset for part in looked_at}
