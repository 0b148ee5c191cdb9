"""When a server may be sent files: what people write, and what it means at each moment of a week."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_communication.decisions.timetable import (
    DAY_S,
    DAYS,
    WEEK_S,
    DeliveryWindow,
    Local,
    closed_text,
    is_open,
    parse,
    seconds_until_change,
)
from iris_communication.errors import InvalidRequest, Scope

EVERY_DAY = tuple(range(7))


def at(day, time):
    hours, minutes = map(int, time.split(":"))
    return Local(DAYS.index(day), hours * 3600 + minutes * 60)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("08:00-16:30", DeliveryWindow(EVERY_DAY, 8 * 3600, 16 * 3600 + 1800)),
        ("22:00-06:00", DeliveryWindow(EVERY_DAY, 22 * 3600, 30 * 3600)),
        ("18:00-24:00", DeliveryWindow(EVERY_DAY, 18 * 3600, DAY_S)),
        ("22:00-00:00", DeliveryWindow(EVERY_DAY, 22 * 3600, DAY_S)),
        ("Mon-Fri 18:00-06:00", DeliveryWindow((0, 1, 2, 3, 4), 18 * 3600, 30 * 3600)),
        ("Sat,Sun", DeliveryWindow((5, 6), 0, DAY_S)),
        ("Fri-Mon,Wed 8:00-12:00", DeliveryWindow((0, 2, 4, 5, 6), 8 * 3600, 12 * 3600)),
        ("  sat - SUN  1:00 - 2:00 ", DeliveryWindow((5, 6), 3600, 7200)),
    ],
)
def test_a_window_is_read_as_it_is_written(text, window):
    assert parse([text]) == (window,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is not a delivery window"),
        ("22-06", "'22-06' is not a delivery window"),
        ("Mon 18:00", "'Mon 18:00' is not a delivery window"),
        ("always", "'always' is not one of Mon, Tue, Wed, Thu, Fri, Sat, Sun"),
        ("Mon,,Tue", "'' is not one of"),
        ("Mon-Wed-Fri", "'Wed-Fri' is not one of"),
        ("25:00-06:00", "25:00 is not a time of day"),
        ("22:00-24:01", "24:01 is not a time of day"),
        ("22:60-23:00", "22:60 is not a time of day"),
        ("06:00-06:00", "it begins and ends at the same time"),
        ("24:00-06:00", "a day begins at 00:00"),
    ],
)
def test_a_text_that_is_no_window_is_refused_with_an_example(text, why):
    with pytest.raises(InvalidRequest) as caught:
        parse(["Sat", text])
    assert why in str(caught.value)
    assert "Mon-Fri 18:00-06:00" in caught.value.hint
    assert caught.value.scope is Scope.CALLER


@pytest.mark.parametrize(
    ("texts", "moment", "opened"),
    [
        ([], at("Wed", "12:00"), True),
        (["22:00-06:00"], at("Mon", "21:59"), False),
        (["22:00-06:00"], at("Mon", "22:00"), True),
        (["22:00-06:00"], at("Mon", "05:59"), True),
        (["22:00-06:00"], at("Mon", "06:00"), False),
        (["Fri 22:00-06:00"], at("Sat", "05:59"), True),
        (["Fri 22:00-06:00"], at("Fri", "05:59"), False),
        (["Sun 22:00-06:00"], at("Mon", "05:59"), True),
        (["Mon-Fri 18:00-24:00", "Sat,Sun"], at("Sat", "00:00"), True),
        (["Mon-Fri 18:00-24:00", "Sat,Sun"], at("Sun", "23:59"), True),
        (["Mon-Fri 18:00-24:00", "Sat,Sun"], at("Mon", "00:00"), False),
    ],
)
def test_a_server_is_open_within_its_windows_alone(texts, moment, opened):
    assert is_open(parse(texts), moment) is opened


@pytest.mark.parametrize(
    ("texts", "moment", "hours"),
    [
        ([], at("Wed", "12:00"), None),
        (["00:00-24:00"], at("Wed", "12:00"), None),
        (["00:00-12:00", "12:00-00:00"], at("Wed", "11:00"), None),
        (["22:00-06:00"], at("Mon", "21:00"), 1),
        (["22:00-06:00"], at("Mon", "22:00"), 8),
        (["22:00-06:00"], at("Mon", "06:00"), 16),
        (["Sat,Sun"], at("Sat", "00:00"), 48),
        (["Sat,Sun"], at("Mon", "00:00"), 5 * 24),
        (["Mon 01:00-02:00"], at("Mon", "02:00"), 7 * 24 - 1),
        (["08:00-10:00", "09:00-12:00"], at("Mon", "08:00"), 4),
    ],
)
def test_the_time_until_it_opens_or_closes_is_known(texts, moment, hours):
    assert seconds_until_change(parse(texts), moment) == (hours and hours * 3600)


@pytest.mark.parametrize(
    ("texts", "moment", "text"),
    [
        (["22:00-06:00"], at("Mon", "21:00"), "outside its delivery window until 22:00"),
        (["22:00-06:00"], at("Mon", "23:00"), ""),
        (["Sat,Sun"], at("Mon", "12:00"), "outside its delivery window until Sat 00:00"),
        (["Mon 06:00-07:00"], at("Sun", "12:00"), "outside its delivery window until 06:00"),
        ([], at("Mon", "12:00"), ""),
    ],
)
def test_the_reason_for_sending_nothing_is_said_with_the_time_it_ends(texts, moment, text):
    assert closed_text(parse(texts), moment) == text


windows = st.lists(
    st.builds(
        lambda days, start, length: DeliveryWindow(tuple(sorted(days)), start * 60, (start + length) * 60),
        st.sets(st.integers(0, 6), min_size=1),
        st.integers(0, 24 * 60 - 1),
        st.integers(1, 24 * 60),
    ),
    max_size=4,
)


@given(windows, st.integers(0, WEEK_S - 1))
def test_a_server_stays_open_or_closed_until_the_change_and_then_changes(some, second):
    def opened(second):
        day, of_day = divmod(second % WEEK_S, DAY_S)
        return is_open(some, Local(day, of_day))

    now = Local(*divmod(second, DAY_S))
    wait_s = seconds_until_change(some, now)
    ahead = range(0, int(wait_s or WEEK_S), 600)
    assert {opened(second + s) for s in ahead} == {opened(second)}
    if wait_s is not None:
        assert opened(second + wait_s - 1) is opened(second)
        assert opened(second + wait_s) is not opened(second)
    assert bool(closed_text(some, now)) is not opened(second)


@given(st.text(alphabet="MonTueSat-, 0123456789:\n", max_size=25))
def test_any_text_is_a_window_or_is_refused(text):
    try:
        (window,) = parse([text])
    except InvalidRequest:
        return
    assert 0 <= window.start_s < DAY_S
    assert window.start_s < window.end_s <= window.start_s + DAY_S
    assert window.days
