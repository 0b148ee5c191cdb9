import pytest

from iris_camera.inspection.findings import Box, Detection, without_overlaps


def test_a_box_overlaps_itself_wholly_and_a_distant_one_not_at_all():
    assert Box(3, 4, 10, 20).iou(Box(3, 4, 10, 20)) == 1.0
    assert Box(0, 0, 10, 10).iou(Box(10, 0, 10, 10)) == 0.0
    assert Box(0, 0, 10, 10).iou(Box(0, 30, 10, 10)) == 0.0


def test_overlap_is_the_shared_area_over_that_of_both():
    assert Box(0, 0, 10, 10).iou(Box(5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert Box(0, 0, 10, 10).iou(Box(2, 2, 5, 5)) == pytest.approx(25 / 100)


def test_an_empty_box_overlaps_nothing():
    assert Box(0, 0, 0, 10).iou(Box(0, 0, 10, 10)) == 0.0


def test_a_box_grows_about_its_centre():
    assert Box(10, 20, 100, 40).grown(0.5) == Box(-15, 10, 150, 60)
    assert Box(10, 20, 100, 40).grown(0.5).centre == Box(10, 20, 100, 40).centre


def test_a_box_is_clipped_to_the_picture():
    assert Box(-5, -5, 20, 20).clipped(30, 20) == Box(0, 0, 15, 15)
    assert Box(25, 10, 20, 20).clipped(30, 20) == Box(25, 10, 5, 10)
    assert Box(40, 10, 5, 5).clipped(30, 20).width == 0


@pytest.mark.parametrize("box", [Box(1, 5, 9, 9), Box(5, 1, 9, 9), Box(20, 5, 9, 9), Box(5, 10, 9, 9)])
def test_a_box_near_an_edge_is_within_the_picture_but_not_with_a_margin(box):
    assert box.within(30, 20)
    assert not box.within(30, 20, margin=2)


def test_the_best_of_overlapping_detections_stays():
    best, worse, apart = (
        Detection(Box(0, 0, 10, 10), 0.9),
        Detection(Box(2, 0, 10, 10), 0.8),
        Detection(Box(20, 0, 10, 10), 0.7),
    )
    assert without_overlaps([apart, worse, best], 0.3) == [best, apart]


def test_detections_that_overlap_a_little_both_stay():
    near = [Detection(Box(0, 0, 10, 10), 0.9), Detection(Box(8, 0, 10, 10), 0.8)]
    assert without_overlaps(near, 0.3) == near


def test_overlapping_detections_of_different_labels_both_stay():
    rider, bicycle = Detection(Box(0, 0, 10, 10), 0.9, "person"), Detection(Box(0, 0, 10, 10), 0.8, "bicycle")
    other = Detection(Box(1, 0, 10, 10), 0.7, "bicycle")
    assert without_overlaps([other, bicycle, rider], 0.3) == [rider, bicycle]
