import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.decisions.retry import Retrying
from iris_communication.decisions.rules import facts, retrying
from iris_communication.settings import DeliverySettings, Rule, Server

PROPERTY = settings(derandomize=True, deadline=None, database=None)
ALONE = ["priority", "ttl_s", "attempts_max", "retry_base_s", "retry_cap_s", "after_delivery", "move_to"]
BATCH = ["batch", "batch_files_max", "batch_bytes_max", "batch_wait_s"]


def test_no_rules_state_no_facts():
    assert facts([], "model", "a.csv") == Rule()


def test_a_rule_for_another_folder_type_or_another_name_says_nothing():
    rules = [Rule(folder_type="evidence", priority=5), Rule(pattern="*.jpg", priority=4)]
    assert facts(rules, "model", "a.csv").priority is None
    assert facts(rules, "evidence", "a.csv").priority == 5
    assert facts(rules, "model", "a.jpg").priority == 4


def test_a_rule_has_to_match_in_both():
    rule = Rule(folder_type="evidence", pattern="*.jpg", priority=5)
    assert [facts([rule], *file).priority for file in [("evidence", "a.jpg"), ("evidence", "a"), ("x", "a.jpg")]] == [
        5,
        None,
        None,
    ]


def test_patterns_tell_upper_from_lower_case_on_every_system():
    assert facts([Rule(pattern="*.CSV", priority=1)], "model", "a.csv").priority is None


def test_the_first_rule_that_matches_counts():
    assert facts([Rule(priority=1), Rule(priority=2)], "model", "a").priority == 1


def test_a_later_rule_fills_the_facts_that_the_first_leaves_open():
    told = facts([Rule(pattern="*.csv", priority=3), Rule(ttl_s=60.0, priority=-1)], "model", "a.csv")
    assert (told.priority, told.ttl_s) == (3, 60.0)


def test_a_priority_of_zero_is_a_word_too():
    assert facts([Rule(priority=0), Rule(priority=7)], "model", "a").priority == 0


def test_the_limits_of_a_batch_are_those_of_the_rule_that_asks_for_it():
    told = facts([Rule(batch_files_max=3, priority=1), Rule(batch="zip", batch_wait_s=2.0)], "model", "a")
    assert (told.batch, told.batch_files_max, told.batch_wait_s) == ("zip", Rule().batch_files_max, 2.0)


RULES = st.lists(
    st.builds(
        Rule,
        folder_type=st.sampled_from(["*", "model", "m*"]),
        pattern=st.sampled_from(["*", "*.csv", "[ab].csv"]),
        priority=st.none() | st.integers(-9, 9),
        ttl_s=st.none() | st.floats(1, 9),
        attempts_max=st.none() | st.integers(1, 9),
        move_to=st.none() | st.sampled_from(["/x", "/y"]),
        batch=st.none() | st.sampled_from(["zip", "tar.gz"]),
        batch_files_max=st.integers(1, 9),
    ),
    max_size=6,
)


@PROPERTY
@given(RULES)
def test_each_fact_is_that_of_the_first_rule_that_states_it(rules):
    told = facts(rules, "model", "a.csv")  # which all of the patterns above match
    for name in ALONE:
        assert getattr(told, name) == next((v for rule in rules if (v := getattr(rule, name)) is not None), None)
    batching = next((rule for rule in rules if rule.batch is not None), Rule())
    assert [getattr(told, name) for name in BATCH] == [getattr(batching, name) for name in BATCH]


@PROPERTY
@given(RULES)
def test_rules_that_do_not_match_change_nothing(rules):
    strangers = [Rule(folder_type="evidence", priority=9), Rule(pattern="*.jpg", batch="zip")]
    assert facts([*strangers, *rules, *strangers], "model", "a.csv") == facts(rules, "model", "a.csv")


SETTINGS = DeliverySettings(attempts_max=8, retry_base_s=2.0, retry_cap_s=300.0)
SERVER = Server("host", "user", attempts_max=5, retry_base_s=1.0)
RULE = Rule(attempts_max=2)


@pytest.mark.parametrize(
    ("server", "rule", "expected"),
    [
        (None, Rule(), Retrying(8, 2.0, 300.0)),
        (Server("host", "user"), Rule(), Retrying(8, 2.0, 300.0)),
        (SERVER, Rule(), Retrying(5, 1.0, 300.0)),
        (SERVER, RULE, Retrying(2, 1.0, 300.0)),
        (None, RULE, Retrying(2, 2.0, 300.0)),
        (SERVER, Rule(retry_base_s=9.0, retry_cap_s=9.0), Retrying(5, 9.0, 9.0)),
    ],
)
def test_the_word_on_retries_goes_from_rule_to_server_to_settings(server, rule, expected):
    assert retrying(server, rule, SETTINGS) == expected
