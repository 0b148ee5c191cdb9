"""What a person sees of the cameras: which work, which do not and why, and nothing old as if it were new."""

import time

import pytest

from iris_camera.web.picture import Picture
from tests.unit.iris_camera.web.fake_line import FakeCamera, FakeLine, belt

MARKUP = "<img src=x onerror=document.title='owned'><b>bold</b>"
UNKNOWN = "\N{EN DASH}"
SHOWN_NAMES = "[...document.querySelectorAll('.camera h2')].map((name) => name.textContent).join()"
GREY = 'getComputedStyle(document.querySelector("{} .picture img")).filter.includes("grayscale(1)")'


def tile(name):
    return f".camera[data-name='{name}']"


def inside(name, field):
    return f"{tile(name)} [data-field='{field}']"


def is_grey(browser, name):
    return browser.evaluate(GREY.format(tile(name)))


def shape_of(browser, selector):
    return browser.evaluate(f"document.querySelector(\"{selector} .shape use\").getAttribute('href')")


@pytest.fixture
def line():
    """Two cameras, by the real clock."""
    return FakeLine("line-1", "line-2", period_s=0.05, wall=time.time)


@pytest.fixture
def page(browser, line, serve):
    """The page of `line`, after the first picture of each camera."""
    browser.open(serve(line).address)
    browser.until("[...document.querySelectorAll('.picture img')].filter((image) => image.naturalWidth).length === 2")
    return browser


def test_each_camera_has_its_picture_its_name_and_its_state_with_since_when(page, line):
    line.cameras[1].turn("online", at_s=time.time() - 30)
    since = time.strftime("%H:%M:%S", time.localtime(line.cameras[1].seen["since_s"]))
    page.until_text(inside("line-2", "camera-since"), f"since {since}")
    assert page.evaluate(SHOWN_NAMES) == "line-1,line-2"
    for name in ("line-1", "line-2"):
        assert page.text(inside(name, "camera-state")) == "Online"
        assert not is_grey(page, name)
    assert page.evaluate(f'document.querySelector("{tile("line-2")} img").alt') == (
        "Latest picture of camera line-2, with a box around each part"
    )


def test_a_camera_that_goes_offline_says_since_when_and_why_and_its_old_picture_is_grey_with_its_age(page, line):
    line.cameras[1].turn("offline", "the camera refuses the password", at_s=time.time() - 187, frame_age_s=200.0)
    page.until_text(inside("line-2", "trouble"), "Offline for 3 min ")
    assert page.text(inside("line-2", "camera-state")) == "Offline"
    assert page.text(inside("line-2", "trouble-reason")).lower() == "the camera refuses the password"
    assert "Picture is" in page.text(inside("line-2", "picture-age"))
    assert is_grey(page, "line-2")
    assert page.evaluate(f'document.querySelector("{tile("line-2")} img").alt').startswith("Old picture")
    assert not is_grey(page, "line-1")
    assert page.evaluate(f'document.querySelector("{tile("line-1")} .trouble").hidden')

    line.cameras[1].turn("online", at_s=time.time(), frame_age_s=0.04)
    page.until(f'document.querySelector("{tile("line-2")} .trouble").hidden')
    assert not is_grey(page, "line-2")


def test_a_page_opened_while_a_camera_is_offline_shows_its_last_picture_as_old(browser, line, serve):
    line.cameras[1].turn("offline", "no route to it", at_s=time.time() - 300, frame_age_s=300.0)
    browser.open(serve(line).address)
    browser.until_text(inside("line-2", "picture-age"), "Picture is 5 min")
    assert is_grey(browser, "line-2")


@pytest.mark.parametrize(
    ("seen", "trouble", "reason"),
    [
        ({"state": "stalled", "frame_age_s": 12.3}, "No new picture for 12 s", ""),
        ({"state": "online", "frame_age_s": 75.0}, "No new picture for 1 min 15 s", ""),
        ({"state": "offline", "since_s": None, "frame_age_s": None}, "Offline", "No picture from this camera"),
        ({"state": "disabled", "frame_age_s": None}, "Disabled", "Switched off"),
        ({"state": "disabled", "reason": "the file has ended"}, "Disabled", "The file has ended"),
        ({"state": "disabled", "reason": None, "ended": True}, "Ended", "It has come to its end"),
    ],
)
def test_a_picture_that_is_old_is_not_shown_as_if_it_were_new(page, line, seen, trouble, reason):
    line.cameras[0].seen |= seen
    page.until_text(inside("line-1", "trouble"), trouble)
    assert (page.text(inside("line-1", "trouble-reason")) or "").lower() == reason.lower()
    assert is_grey(page, "line-1")


def test_pictures_that_were_meant_to_be_far_apart_are_not_called_old(page, line):
    line.cameras[0].seen |= {"frame_rate": 0.1, "frame_age_s": 25.0, "parts": 777}
    line.cameras[1].seen |= {"frame_rate": None, "live": False, "frame_age_s": 900.0, "parts": 778}
    page.until_text(inside("line-1", "parts"), "777")
    page.until_text(inside("line-2", "parts"), "778")
    assert page.evaluate("[...document.querySelectorAll('.trouble')].every((trouble) => trouble.hidden)")


def test_each_state_has_a_word_and_a_shape_besides_its_colour(page, line):
    shapes, text = set(), set()
    for state in ("online", "stalled", "disabled"):
        line.cameras[0].turn(state, at_s=time.time())
        page.until(
            f"document.querySelector(\"{inside('line-1', 'camera-state')}\").textContent.toLowerCase() === '{state}'"
        )
        shapes.add(shape_of(page, f"{tile('line-1')} .caption"))
        text.add(page.text(inside("line-1", "camera-state")))
    assert (len(shapes), len(text)) == (3, 3)


@pytest.mark.parametrize(
    ("state", "text", "shape"),
    [("restarting", "Inspection restarting", "#shape-notice"), ("stopped", "Inspection stopped", "#shape-bad")],
)
def test_an_inspection_that_does_not_run_is_shown_with_its_reason(page, line, state, text, shape):
    line.cameras[0].seen["inspection"] |= {"state": state, "restarts": 2, "reason": "the model ran out of memory"}
    page.until_text(inside("line-1", "trouble"), text)
    assert page.text(inside("line-1", "trouble-reason")).lower() == "the model ran out of memory"
    assert shape_of(page, f"{tile('line-1')} .caption") == shape
    assert "2 restarts" in page.text(inside("line-1", "notable"))


def test_the_details_show_inference_detector_skipped_reconnects_evidence_and_errors(page, line):
    line.cameras[0].seen |= {"frames": 5000, "skipped": 7, "reconnects": 3, "errors": 4, "evidence_skipped": 5}
    page.until_text(inside("line-1", "errors"), "4")
    fields = ("inference", "detector", "frame", "skipped", "reconnects", "restarts", "evidence", "source")
    assert [page.text(inside("line-1", name)) for name in fields] == [
        "4.1 / 9.8 ms",
        "haar on CPU",
        "5,000",
        "7",
        "3",
        "0",
        "18 files, 5 skipped",
        "rtsp://10.0.0.9/line-1",
    ]
    assert page.text(inside("line-1", "notable")) == "4 errors, 5 evidence skipped"
    since_s = line.cameras[0].seen["since_s"]
    assert page.text(inside("line-1", "state-since")) == time.strftime("%H:%M:%S", time.localtime(since_s))


def test_a_rate_below_the_one_aimed_at_is_shown(page, line):
    line.cameras[0].seen |= {"frames_per_s": 12.0}
    page.until_text(inside("line-1", "frames-remark"), "of 25, slow")
    line.cameras[0].seen |= {"frame_rate": None}
    page.until(f"document.querySelector(\"{inside('line-1', 'frames-remark')}\").textContent === ''")


def test_a_camera_that_reports_little_is_shown_with_what_it_reports(page, line):
    line.cameras[0].seen = {"name": "line-1", "state": "online", "frame_age_s": 0.1, "frames": 9, "frames_per_s": 5.0}
    page.until_text(inside("line-1", "frame"), "9")
    assert page.text(inside("line-1", "inference")) == UNKNOWN
    assert page.text(inside("line-1", "parts")) == UNKNOWN
    assert page.console == []


def test_a_camera_appears_and_disappears_without_a_reload(page, line):
    page.evaluate("window.same = document.querySelector('.camera')")
    line.cameras.append(FakeCamera("line-3", since_s=time.time()))
    page.until(f"{SHOWN_NAMES} === 'line-1,line-2,line-3'")
    page.until(f'document.querySelector("{tile("line-3")} .picture img").naturalWidth > 0')
    del line.cameras[1]
    page.until(f"{SHOWN_NAMES} === 'line-1,line-3'")
    assert page.evaluate("window.same === document.querySelector('.camera')")
    assert [page.text("#events li:first-child strong"), page.console] == ["line-3", []]


def test_a_camera_made_again_shows_its_new_pictures(page, line):
    page.evaluate("window.first = document.querySelector('.picture img')")
    remade = FakeCamera("line-1", since_s=time.time())
    remade.seen["frames"] = 1
    remade.picture = Picture(7, belt(320, 180))
    line.cameras[0] = remade
    page.until("document.querySelector('.picture img').naturalWidth === 320")


def test_cameras_stand_in_their_order_whenever_they_came(page, line):
    line.cameras.insert(0, FakeCamera("line-0", since_s=time.time()))
    page.until(f"{SHOWN_NAMES} === 'line-0,line-1,line-2'")
    line.cameras.reverse()
    page.until(f"{SHOWN_NAMES} === 'line-2,line-1,line-0'")


def test_the_events_of_all_cameras_stand_in_one_list_newest_first(page, line):
    now_s = time.time()
    line.cameras[0].turn("offline", "no route to it", at_s=now_s - 20)
    line.cameras[1].turn("stalled", "no picture for 5 s", at_s=now_s - 10)
    line.cameras[0].turn("online", at_s=now_s - 5)
    page.until("document.querySelectorAll('#events li').length === 5")
    lines = page.evaluate("[...document.querySelectorAll('#events li')].map((line) => line.innerText.trim())")
    at = [time.strftime("%H:%M:%S", time.localtime(now_s - ago_s)) for ago_s in (5, 10, 20)]
    assert lines[:3] == [
        f"{at[0]} line-1 online",
        f"{at[1]} line-2 stalled: no picture for 5 s",
        f"{at[2]} line-1 offline: no route to it",
    ]
    assert len({shape_of(page, f"#events li:nth-child({place})") for place in (1, 2, 3)}) == 3


def test_an_unchanged_list_of_events_is_left_alone(page, line):
    page.evaluate("window.same = document.querySelector('#events li')")
    for parts in range(100, 110):  # ten states later
        line.cameras[0].seen["parts"] = parts
        page.until_text(inside("line-1", "parts"), str(parts))
    assert page.evaluate("window.same === document.querySelector('#events li')")


def test_names_and_reasons_with_markup_in_them_stay_text(page, line):
    line.cameras[0].turn("offline", MARKUP, at_s=time.time())
    line.cameras[1].seen["inspection"] |= {"state": "stopped", "reason": MARKUP, "detector": MARKUP}
    line.records |= {"kept_files": 1, "last_removed": {"at_s": time.time(), "files": 1, "bytes": 1, "why": MARKUP}}
    line.cameras.append(FakeCamera(MARKUP, since_s=time.time()))
    page.until(f"{SHOWN_NAMES}.endsWith('</b>')")
    page.until_text(inside("line-1", "trouble-reason"), MARKUP)
    page.until_text(inside("line-2", "trouble-reason"), MARKUP)
    assert MARKUP in page.text("#events")
    assert MARKUP in page.text("#records")
    assert page.evaluate("document.querySelectorAll('main b, main img[src=x]').length") == 0
    assert "owned" not in page.evaluate("document.title")


def test_kept_and_removed_files_are_shown_only_where_there_are_some(page, line):
    assert page.evaluate("document.querySelector('#records').hidden")
    at_s = time.time() - 300
    line.records |= {
        "kept_files": 1234,
        "kept_bytes": 1_234_567_890,
        "removed_files": 40,
        "last_removed": {"at_s": at_s, "files": 40, "bytes": 12_000_000, "why": "kept longer than 7 days"},
    }
    page.until("!document.querySelector('#records').hidden")
    assert page.text("[data-field='kept']") == "1,234 files, 1.2 GB"
    when = time.strftime("%H:%M:%S", time.localtime(at_s))
    assert page.text("[data-field='removed']") == f"{when}: removed 40 files, 12.0 MB (kept longer than 7 days)"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080), (3840, 2160)])
@pytest.mark.parametrize("number", [2, 4, 8, 12])
def test_no_part_has_to_be_scrolled_to_on_a_screen_however_many_cameras(browser, serve, number, width, height):
    line = FakeLine(*(f"line-{place}" for place in range(number)), period_s=0.05, wall=time.time)
    line.cameras[0].turn("offline", "the camera refuses the password", at_s=time.time())
    browser.size(width, height)
    browser.open(serve(line).address)
    browser.until(f"document.querySelectorAll('.camera').length === {number}")
    browser.until(f"document.documentElement.scrollHeight <= {height}")
    browser.until(f"document.documentElement.scrollWidth <= {width}")
    assert browser.evaluate(
        "Math.min(...[...document.querySelectorAll('.picture')].map((picture) => picture.clientHeight)) >= 80"
    )


def test_figures_that_grow_move_nothing(page, line):
    boxes = """JSON.stringify([...document.querySelectorAll('.camera, .picture, .figure, .more, .aside > *')]
        .map((element) => element.getBoundingClientRect()).map((box) => [box.x, box.y, box.width, box.height]))"""
    before = page.evaluate(boxes)
    line.cameras[0].seen |= {"parts": 12_345_678, "defects": 1_234_567, "skipped": 99_999, "frames": 123_456_789}
    line.cameras[1].turn("offline", "the camera refuses the password", at_s=time.time())
    page.until_text(inside("line-1", "parts"), "12,345,678")
    page.until_text(inside("line-2", "trouble"), "Offline")
    assert page.evaluate(boxes) == before


def test_the_cameras_stand_below_each_other_on_a_phone_and_none_is_cut_off_at_the_side(page, line):
    line.cameras[1].turn("offline", "the camera refuses the password", at_s=time.time())
    page.size(390, 844, phone=True)
    page.until("document.documentElement.scrollWidth <= 390")
    tops = page.evaluate(
        "[...document.querySelectorAll('.camera')].map((camera) => camera.getBoundingClientRect().top)"
    )
    assert tops[1] > tops[0] + 200


def test_a_picture_is_fetched_only_while_its_tile_can_be_seen(browser, line, serve):
    browser.size(390, 400, phone=True)
    browser.open(serve(line).address)
    browser.until(f'document.querySelector("{tile("line-1")} img").naturalWidth > 0')
    for frames in range(2000, 2010):
        line.cameras[0].seen["frames"] = line.cameras[1].seen["frames"] = frames
        browser.until_text(inside("line-2", "parts"), "61")
        browser.until(f"document.querySelector(\"{inside('line-1', 'frame')}\").textContent === '{frames:,}'")
    assert line.cameras[0].pictures_asked > 0
    assert line.cameras[1].pictures_asked == 0
    browser.evaluate(f'document.querySelector("{tile("line-2")}").scrollIntoView()')
    browser.until(f'document.querySelector("{tile("line-2")} img").naturalWidth > 0')


def test_no_camera_starves_another_of_its_pictures(browser, serve):
    line = FakeLine(*(f"line-{place}" for place in range(8)), period_s=0.05, wall=time.time)
    server = serve(line)
    browser.open(server.address)
    browser.until("document.querySelectorAll('.picture img').length === 8")
    asked = [camera.pictures_asked for camera in line.cameras]
    for frames in range(2000, 2040):
        for camera in line.cameras:
            camera.seen["frames"] = frames
        browser.until(f"document.querySelector(\"{inside('line-7', 'frame')}\").textContent === '{frames:,}'")
    more = [camera.pictures_asked - before for camera, before in zip(line.cameras, asked, strict=True)]
    assert min(more) >= 1
    assert max(more) - min(more) <= 2


def test_the_page_can_be_used_by_keyboard(page):
    def focused():
        page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        return page.evaluate(
            "document.activeElement.tagName + (document.activeElement.id && '#' + document.activeElement.id)"
        )

    assert [focused() for _ in range(3)] == ["SUMMARY", "SUMMARY", "OL#events"]
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    is_open = "document.querySelector('details').open"
    before = page.evaluate(is_open)
    page.evaluate("document.querySelector('summary').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    page.until(f"{is_open} !== {str(before).lower()}")


def test_a_screen_reader_finds_the_parts_of_the_page_by_name(page, line):
    line.cameras[1].turn("offline", "no route to it", at_s=time.time())
    page.until_text(inside("line-2", "trouble"), "Offline")
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    page.call("Accessibility.disable")
    parts = {
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")
    }
    for role, name in [
        ("region", "Cameras"),
        ("article", "Camera line-1: Online"),
        ("region", "Delivery"),
        ("region", "Recent events"),
        ("list", "Recent events"),
        ("heading", "line-2"),
        ("heading", "Recent events"),
        ("image", "Old picture of camera line-2, with a box around each part"),
    ]:
        assert (role, name) in parts, (role, name)
    assert any(role == "article" and name.startswith("Camera line-2: Offline") for role, name in parts)
    assert any(role == "DisclosureTriangle" and "Details of camera line-1" in name for role, name in parts), parts
    assert page.evaluate("document.querySelectorAll('main, h1, [role=status]').length") == 3


def test_a_camera_that_changes_is_announced_once_to_a_screen_reader(page, line):
    announced = "document.querySelector('[role=status]').textContent"
    line.cameras[1].turn("offline", "no route to it", at_s=time.time())
    line.health |= {
        "ready": False,
        "state": "unready",
        "severity": "failed",
        "sentence": "Iris is not ready: line-2 is offline.",
    }
    page.until(f"{announced} === 'Iris is not ready: line-2 is offline.'")
