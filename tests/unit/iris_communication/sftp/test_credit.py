import pytest

from iris_communication.sftp.credit import Credit, Handles, paced_write_size


def test_data_is_allowed_up_to_the_bytes_in_flight():
    credit = Credit(bytes_max=100)
    credit.spend(60)
    assert credit.allows(40)
    assert not credit.allows(41)


def test_a_request_larger_than_all_credit_goes_when_nothing_else_is_in_flight():
    credit = Credit(bytes_max=100)
    assert credit.allows(1000)
    credit.spend(1)
    assert not credit.allows(1000)


def test_requests_are_bounded_whatever_their_size():
    credit = Credit(requests_max=2)
    credit.spend(0)
    credit.spend(0)
    assert not credit.allows(0)
    credit.regain(0)
    assert credit.allows(0)


@pytest.mark.parametrize(
    ("acknowledged_bytes", "seconds", "size_bytes"),
    [
        (32_768, 0.0, 261_120),  # at once
        (32_768, 0.1, 261_120),
        (32_768, 2.0, 61_440),
        (32_768, 13.0, 32_768),  # 2.5 kB a second: not below what every server takes
        (261_120, 30.0, 32_768),
        (4_000_000, 10.0, 261_120),
    ],
)
def test_a_write_is_as_large_as_the_link_carries_in_an_eighth_of_the_deadline(acknowledged_bytes, seconds, size_bytes):
    assert paced_write_size(acknowledged_bytes, seconds, deadline_s=30.0, most_bytes=261_120) == size_bytes


def test_a_server_that_takes_little_is_given_no_more():
    assert paced_write_size(32_768, 0.0, deadline_s=30.0, most_bytes=1024) == 1024


def granted(count):
    handles = Handles()
    for _ in range(count):
        handles.asked += 1
        handles.granted()
    return handles


def refused(handles, refused_at=None):
    handles.asked += 1
    return handles.refused(refused_at)


def test_files_are_unlimited_until_a_server_refuses_one():
    assert granted(1000).allow()


def test_a_refusal_with_no_other_file_open_is_believed():
    handles = granted(0)
    assert refused(handles) is False
    assert handles.allow()


def test_a_refusal_with_fewer_files_open_than_were_granted_before_is_believed():
    handles = granted(5)
    handles.open -= 1
    assert refused(handles) is False
    assert handles.allow()


@pytest.mark.parametrize("count", [1, 5])
def test_a_refusal_beyond_what_was_ever_granted_is_doubted_and_nothing_more_is_asked_for(count):
    handles = granted(count)
    assert refused(handles) is True
    assert not handles.allow()
    handles.open -= 1
    assert handles.allow()


def test_an_open_on_its_way_counts_as_an_open_file():
    handles = granted(2)
    refused(handles)
    handles.open -= 1
    handles.asked += 1
    assert not handles.allow()


def test_a_second_refusal_with_fewer_files_open_is_believed_and_lifts_the_limit():
    handles = granted(3)
    refused(handles)
    handles.open -= 1
    assert refused(handles, refused_at=3) is False
    handles.open += 1
    assert handles.allow()


def test_a_file_granted_after_a_refusal_raises_the_limit():
    handles = granted(1)
    handles.asked += 1
    refused(handles)
    handles.granted()
    handles.open -= 1
    assert handles.allow()
