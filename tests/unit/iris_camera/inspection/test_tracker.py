import random

from iris_camera.camera.synthetic import SyntheticLine
from iris_camera.inspection.findings import Box, Detection
from iris_camera.inspection.tracker import Tracker

WIDTH, HEIGHT, PACE = 1280, 720, 26.0


def seen(*boxes):
    return [Detection(box, 0.9) for box in boxes]


def on_the_belt(start, number, width=100.0, y=300.0, pace=PACE):
    """What a camera sees of a part in frame `number`: cut off at the picture's edge; None when it is not in view."""
    box = Box(start + pace * number, y, width, 90.0).clipped(WIDTH, HEIGHT)
    return box if box.width >= 0.45 * width else None


def run(tracker, numbers, look):
    """Every answer by frame number, `look(number)` giving the boxes seen, None among them for those out of view."""
    return {n: tracker.update(seen(*(box for box in look(n) if box is not None)), n) for n in numbers}


def ids(answers):
    return {part.part_id for answer in answers.values() for part in answer.parts}


def ready_ids(answers):
    return [part.part_id for answer in answers.values() for part in answer.ready]


def again_on(answers):
    return [number for number, answer in answers.items() if answer.again]


def finished_ids(answers):
    return [part.part_id for answer in answers.values() for part in answer.finished]


def test_a_part_keeps_one_id_from_edge_to_edge_and_is_judged_and_finished_once():
    answers = run(Tracker(WIDTH, HEIGHT), range(70), lambda n: [on_the_belt(-120, n)])
    assert ids(answers) == {1}
    assert ready_ids(answers) == [1]
    assert finished_ids(answers) == [1]


def test_every_detection_is_handed_on_with_its_box_and_score():
    tracker = Tracker(WIDTH, HEIGHT)
    box = Box(400, 300, 100, 90)
    (part,) = tracker.update([Detection(box, 0.75)]).parts
    assert (part.part_id, part.box, part.score) == (1, box, 0.75)


def test_a_part_is_judged_when_it_is_wholly_in_the_picture_with_room_round_it():
    answers = run(Tracker(WIDTH, HEIGHT), range(30), lambda n: [on_the_belt(-120, n)])
    (number,) = [n for n, answer in answers.items() if answer.ready]
    (part,) = answers[number].ready
    assert part.box.grown(0.35).within(WIDTH, HEIGHT)
    assert not on_the_belt(-120, number - 1).grown(0.35).within(WIDTH, HEIGHT)


def test_a_part_that_moves_along_the_upper_edge_is_judged_without_the_room():
    answers = run(Tracker(WIDTH, HEIGHT), range(30), lambda n: [on_the_belt(-120, n, y=8.0)])
    assert ready_ids(answers) == [1]


def test_a_part_that_is_never_wholly_in_the_picture_is_not_judged_but_finished():
    answers = run(Tracker(WIDTH, HEIGHT), range(70), lambda n: [on_the_belt(-120, n, y=-20.0)])
    assert ready_ids(answers) == []
    assert finished_ids(answers) == [1]


def test_a_few_missed_frames_change_nothing():
    missed = {11, 12, 13, 14, 20, 21, 30}
    answers = run(Tracker(WIDTH, HEIGHT), range(70), lambda n: [] if n in missed else [on_the_belt(-120, n)])
    assert ids(answers) == {1}
    assert (ready_ids(answers), finished_ids(answers)) == ([1], [1])


def test_frames_the_camera_skipped_change_nothing():
    numbers = [*range(12), 20, 21, 33, 34, 35, *range(45, 70)]
    starts = (-120, -320, -520)
    answers = run(Tracker(WIDTH, HEIGHT), numbers, lambda n: [on_the_belt(start, n) for start in starts])
    assert ids(answers) == {1, 2, 3}
    assert sorted(ready_ids(answers)) == [1, 2, 3]


def test_a_new_part_is_taken_to_move_as_the_others_do():
    tracker = Tracker(WIDTH, HEIGHT)
    run(tracker, range(10), lambda n: [on_the_belt(200, n)])
    before = tracker.update(seen(on_the_belt(200, 10), on_the_belt(-310, 10)), 10).parts
    after = tracker.update(seen(on_the_belt(200, 18), on_the_belt(-310, 18)), 18).parts
    assert [part.part_id for part in after] == [part.part_id for part in before] == [1, 2]


def test_the_pace_of_a_part_is_known_though_it_was_only_seen_cut_off_at_the_edge():
    tracker = Tracker(WIDTH, HEIGHT)
    assert [on_the_belt(-52, n).x for n in (0, 1)] == [0, 0]
    for n in (0, 1):
        tracker.update(seen(on_the_belt(-52, n)), n)
    (part,) = tracker.update(seen(on_the_belt(-52, 14)), 14).parts
    assert part.part_id == 1


def test_two_parts_near_each_other_keep_their_ids():
    answers = run(Tracker(WIDTH, HEIGHT), range(80), lambda n: [on_the_belt(-120, n), on_the_belt(-232, n)])
    assert ids(answers) == {1, 2}
    for n in range(12, 40):
        first, second = sorted(answers[n].parts, key=lambda part: part.box.x, reverse=True)
        assert (first.part_id, second.part_id) == (1, 2)


def test_two_parts_that_cross_keep_their_ids():
    def look(n):
        return [on_the_belt(100, n, pace=20.0, y=300.0), on_the_belt(1000, n, pace=-20.0, y=330.0)]

    answers = run(Tracker(WIDTH, HEIGHT), range(45), look)
    assert ids(answers) == {1, 2}
    right_going = [part.box.x for answer in answers.values() for part in answer.parts if part.part_id == 1]
    assert right_going == sorted(right_going)


def test_a_ghost_seen_once_is_neither_judged_nor_finished():
    ghost = Box(600, 100, 90, 90)
    answers = run(Tracker(WIDTH, HEIGHT), range(70), lambda n: [on_the_belt(-120, n), ghost if n == 20 else None])
    part_ids = {1}
    assert set(ready_ids(answers)) == part_ids
    assert set(finished_ids(answers)) == part_ids


def test_a_part_that_vanishes_in_the_middle_of_the_picture_is_finished_after_the_missed_frames_allowed():
    tracker = Tracker(WIDTH, HEIGHT, missed_max=3)
    still = Box(500, 300, 100, 90)
    answers = run(tracker, range(10), lambda n: [still if n < 4 else None])
    assert [n for n, answer in answers.items() if answer.finished] == [7]
    assert finished_ids(answers) == [1]


def test_a_finished_part_is_reported_as_it_was_last_seen():
    tracker = Tracker(WIDTH, HEIGHT, missed_max=0)
    tracker.update(seen(Box(500, 300, 100, 90)))
    tracker.update(seen(Box(502, 300, 100, 90)))
    (part,) = tracker.update([]).finished
    assert part.box == Box(502, 300, 100, 90)


def test_a_call_without_a_number_is_the_next_frame():
    with_numbers = run(Tracker(WIDTH, HEIGHT), range(60), lambda n: [on_the_belt(-120, n)])
    tracker = Tracker(WIDTH, HEIGHT)
    without = [tracker.update(seen(*filter(None, [on_the_belt(-120, n)]))) for n in range(60)]
    assert without == list(with_numbers.values())


def test_a_source_that_begins_again_finishes_all_parts_and_gives_no_id_twice():
    tracker = Tracker(WIDTH, HEIGHT)
    run(tracker, range(20), lambda n: [on_the_belt(0, n)])
    again = tracker.update(seen(on_the_belt(0, 19)), 0)
    assert [part.part_id for part in again.finished] == [1]
    assert [part.part_id for part in again.parts] == [2]


def test_a_whole_line_with_missed_and_skipped_frames_gives_each_part_one_id_and_one_verdict():
    line, tracker, chance = SyntheticLine(3), Tracker(WIDTH, HEIGHT), random.Random(3)
    true_ids, verdicts, whole = {}, [], {}
    for number in range(600):
        if number > 5 and chance.random() < 0.1:
            continue  # the camera skipped it
        truth = [part for part in line.truth(number) if part.box.width > 50]
        boxes = {part.part_id: Box(*part.box).shifted(chance.uniform(-3, 3), chance.uniform(-3, 3)) for part in truth}
        found = {part_id: box for part_id, box in boxes.items() if chance.random() > 0.1}
        for part in truth:
            whole[part.part_id] = whole.get(part.part_id, 0) + part.fully_visible
        answer = tracker.update(seen(*found.values()), number)
        by_box = {box: part_id for part_id, box in found.items()}
        for part in answer.parts:
            true_ids.setdefault(by_box[part.box], set()).add(part.part_id)
        verdicts += [by_box[part.box] for part in answer.ready]
    assert [given for given in true_ids.values() if len(given) > 1] == []
    assert len(verdicts) == len(set(verdicts))
    assert {part_id for part_id, times in whole.items() if times > 12} <= set(verdicts)


PLACE = Box(400, 300, 100, 90)
BESIDE = Box(430, 300, 100, 90)  # overlaps PLACE by a little more than half


def labelled(*pairs):
    return [Detection(box, 0.9, label) for box, label in pairs]


def by_label(tracked):
    return {part.label: part.part_id for part in tracked.parts}


def test_a_part_carries_its_detections_label():
    assert by_label(Tracker(WIDTH, HEIGHT).update(labelled((PLACE, "nut")))) == {"nut": 1}


def test_a_part_whose_label_wavers_keeps_its_id_shows_the_latest_label_and_is_judged_once():
    tracker = Tracker(WIDTH, HEIGHT)
    answers = {n: tracker.update(labelled((PLACE, "nut" if n % 2 else "bolt")), n) for n in range(10)}
    assert ids(answers) == {1}
    assert ready_ids(answers) == [1]
    assert [answer.parts[0].label for answer in answers.values()] == ["bolt", "nut"] * 5


def test_a_detection_takes_the_track_of_its_own_label_though_another_is_nearer():
    tracker = Tracker(WIDTH, HEIGHT)
    first = by_label(tracker.update(labelled((PLACE, "person"), (BESIDE, "bicycle"))))
    second = by_label(tracker.update(labelled((BESIDE, "person"), (PLACE, "bicycle"))))
    assert second == first


def test_a_thing_of_another_label_beside_a_lost_part_is_a_new_part():
    tracker = Tracker(WIDTH, HEIGHT)
    tracker.update(labelled((PLACE, "person")))
    beside = Box(450, 300, 100, 90)  # near enough for the same label
    assert by_label(tracker.update(labelled((beside, "bicycle")))) == {"bicycle": 2}
    assert by_label(tracker.update(labelled((beside, "person")))) == {"person": 1}


def test_a_part_that_is_never_whole_is_judged_at_its_tenth_sighting_where_a_piece_will_do():
    filling = Box(0, 0, WIDTH, HEIGHT)
    answers = run(Tracker(WIDTH, HEIGHT, judges_cut_off=True), range(30), lambda n: [filling])
    assert [n for n, answer in answers.items() if answer.ready] == [9]


def test_a_part_that_comes_in_is_judged_when_it_is_whole_even_where_a_piece_would_do():
    pieces = run(Tracker(WIDTH, HEIGHT, judges_cut_off=True), range(30), lambda n: [on_the_belt(-120, n)])
    whole = run(Tracker(WIDTH, HEIGHT), range(30), lambda n: [on_the_belt(-120, n)])
    assert pieces == whole


def test_a_part_may_be_judged_again_on_each_frame_on_which_it_has_room_and_not_on_its_way_out():
    answers = run(Tracker(WIDTH, HEIGHT), range(70), lambda n: [on_the_belt(-120, n)])
    first = next(number for number, answer in answers.items() if answer.ready)
    has_room = [n for n in range(70) if (box := on_the_belt(-120, n)) and box.grown(0.35).within(WIDTH, HEIGHT)]
    assert first == has_room[0]
    assert again_on(answers) == has_room[1:]


def test_a_part_that_never_gets_room_may_be_judged_again_wherever_it_is_whole():
    answers = run(Tracker(WIDTH, HEIGHT), range(70), lambda n: [on_the_belt(-120, n, y=8.0)])
    first = next(number for number, answer in answers.items() if answer.ready)
    whole = [n for n in range(70) if (box := on_the_belt(-120, n, y=8.0)) and box.within(WIDTH, HEIGHT, 6.0)]
    assert again_on(answers) == [number for number in whole if number > first]


def test_a_thing_that_does_not_move_is_one_part_with_one_verdict_though_every_other_frame_misses_it():
    answers = run(Tracker(WIDTH, HEIGHT), range(200), lambda n: [PLACE.shifted(n % 5, n % 3)] if n % 2 else [])
    assert ids(answers) == {1}
    assert ready_ids(answers) == [1]
    assert finished_ids(answers) == []


def test_ids_go_on_from_where_another_tracker_ended():
    before = Tracker(WIDTH, HEIGHT)
    before.update(labelled((PLACE, "nut"), (Box(800, 100, 50, 50), "nut")))
    after = Tracker(WIDTH, HEIGHT, first_id=before.next_id)
    assert [part.part_id for part in after.update(labelled((PLACE, "nut"))).parts] == [3]
