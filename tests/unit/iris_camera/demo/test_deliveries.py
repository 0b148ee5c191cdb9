"""What the ledger shows of a run, from lines that are easy to count."""

from datetime import UTC, datetime
from pathlib import Path

from iris_camera.demo.deliveries import Deliveries, Outage, deliveries_from

RECORDS = Path("/line/records")
OUTAGE = Outage(100.0, 200.0)


def line(name, accepted_s=150.0, delivered_s=210.0, *, attempts=0, batch=None, folder=RECORDS / "line-1" / "ready"):
    def at(time_s):
        return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")

    return {
        "source": str(folder / name),
        "accepted": at(accepted_s),
        "delivered": at(delivered_s),
        "attempts": attempts,
        "batch": batch,
    }


def order(*names):
    return deliveries_from([line(name) for name in names], RECORDS, [OUTAGE]).backlog_evidence_first


def test_evidence_that_all_came_first_is_the_whole_share():
    assert order("1.jpg", "2.jpg", "a.csv", "b.csv") == 1.0


def test_evidence_that_came_last_is_no_share():
    assert order("a.csv", "1.jpg", "2.jpg") == 0.0


def test_the_pairs_of_a_mixed_order_are_counted():
    assert order("1.jpg", "a.csv", "2.jpg", "b.csv") == 0.75


def test_no_order_is_reported_without_both_kinds():
    assert order("1.jpg", "2.jpg") is None
    assert order("a.csv") is None
    assert order() is None


def test_the_backlog_of_an_outage_was_accepted_in_it_and_arrived_after_it():
    before, within, after = line("1.jpg", 99.0), line("2.jpg", 150.0, 199.0), line("3.jpg", 201.0)
    counts = deliveries_from([before, within, after, line("4.jpg"), line("a.csv")], RECORDS, [OUTAGE])
    assert (counts.backlog_evidence, counts.backlog_csv, counts.backlog_evidence_first) == (1, 1, 1.0)


def test_each_outage_has_a_backlog_of_its_own():
    lines = [line("a.csv"), line("1.jpg", 350.0, 410.0), line("b.csv", 350.0, 411.0)]
    counts = deliveries_from(lines, RECORDS, [OUTAGE, Outage(300.0, 400.0)])
    assert (counts.backlog_evidence, counts.backlog_csv, counts.backlog_evidence_first) == (1, 2, 1.0)


def test_attempts_and_archives_are_counted():
    lines = [
        line("1.jpg", attempts=2),
        line("a.csv", batch="x-2"),
        line("b.csv", batch="x-2"),
        line("c.csv", attempts=1),
    ]
    counts = deliveries_from(lines, RECORDS, [])
    assert (counts.attempts_repeated, counts.archives, counts.files_in_archives) == (3, 1, 2)


def test_deliveries_that_other_runs_left_in_the_ledger_are_theirs():
    assert deliveries_from([line("1.jpg", attempts=5, folder=Path("/old/records"))], RECORDS, [OUTAGE]) == Deliveries(
        0, 0, 0, 0, 0, None
    )
