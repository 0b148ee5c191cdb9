"""What a person sees: the real page in a real browser, from a real server, while the line behind it changes."""

import threading
import time
from dataclasses import replace

import pytest

from iris_camera.web.picture import DrawnMark, Picture
from tests.unit.iris_camera.web.fake_line import SERVER, FakeCamera, FakeLine, belt

WAIT_S = 60.0
REMOVED = {"at_s": time.time() - 300, "files": 40, "bytes": 12_000_000, "why": "kept longer than 7 days"}
MARKUP = "<img src=x onerror=document.title='owned'><b>bold</b>"


def time_of_day(unix_s):
    return time.strftime("%H:%M:%S", time.localtime(unix_s))


def field(name):
    return f"[data-field='{name}']"


def shown(browser, *names):
    return [browser.text(field(name)) for name in names]


def picture(number):
    return Picture(number, belt(1280, 720), (DrawnMark(500, 260, 160, 160, "defect 0.97", alarm=True),))


def checked(**facts):
    """What a health check of a sound server found, twelve seconds ago."""
    done = ["answers", "free space"]
    found = {"ok": True, "done": done, "words": "", "hint": "", "latency_s": 0.0032, "age_s": 12.3, "at_s": 1.0}
    return found | {"free_bytes": 41_200_000_000, "total_bytes": 50_000_000_000} | facts


class LineWithSlowPictures(FakeLine):
    """A line whose picture takes as long as the test likes."""

    def __init__(self, slow_picture):
        self._slow_picture = slow_picture
        super().__init__(period_s=0.05, wall=time.time)

    def pictures(self):
        return {"line-1": self._slow_picture}


@pytest.fixture
def page(browser, line, serve):
    """The page of `line`, after its first picture."""
    server = serve(line)
    browser.open(server.address)
    browser.until("document.querySelector('.picture img').naturalWidth > 0")
    return browser


def test_one_glance_shows_picture_rate_parts_defects_waiting_delivered_failed_and_link(page):
    figures = ("frames-per-second", "parts", "defects", "waiting", "delivered", "failed")
    assert shown(page, *figures) == ["25.0", "61", "9", "3", "145", "2"]
    assert page.text(".link h3") == "Link up"
    assert page.text("#sentence") == "Iris works: 3 files on the way."
    assert page.evaluate("document.querySelector('.picture img').alt").startswith("Latest picture of camera line-1")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080)])
def test_no_part_has_to_be_scrolled_to_on_a_screen(page, line, width, height):
    line.uploader.link(
        "down",
        since_s=time.time() - 5,
        reason="connection refused by 127.0.0.1 port 2222",
        hint="Check that the SFTP server runs and that no firewall is in between.",
        waiting=3,
        retry_in_s=4.0,
    )
    page.size(width, height)
    page.until_text(".link h3", "Link down")
    page.until(f"document.documentElement.scrollHeight <= {height}")
    page.until(f"document.documentElement.scrollWidth <= {width}")


def test_no_part_is_cut_off_at_the_side_on_a_phone(page, line):
    line.camera.seen |= {"parts": 12_345_678, "defects": 1_234_567}
    line.uploader.stats |= {"total_uploaded": 12_345_678, "queue_size": 100_000}
    page.size(390, 844, phone=True)
    page.until_text(field("delivered"), "12,345,678")
    page.until("document.documentElement.scrollWidth <= 390")
    overflowing = """[...document.querySelectorAll('.number, .remark, dt, h3, .sentence span')]
        .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0)
        .map((element) => element.textContent)"""
    assert page.evaluate(overflowing) == []


def test_the_figures_follow_the_line(page, line):
    line.camera.seen |= {"frames_per_s": 24.96, "parts": 1234, "defects": 10, "csv_files": 30}
    line.uploader.stats |= {"total_queued": 1300, "total_uploaded": 1200, "queue_size": 98}
    line.camera.seen["waiting_records"] = 4
    page.until_text(field("parts"), "1,234")
    page.until_text(field("waiting"), "98")
    assert shown(page, "frames-per-second", "frames-remark") == ["25.0", "of 25"]
    assert shown(page, "parts-remark", "defects", "defects-remark") == ["30 files", "10", "0.8 %"]
    assert shown(page, "delivered", "delivered-remark") == ["1,200", "of 1,300 accepted"]
    assert "4 more files not yet accepted" in page.text(field("waiting-remark"))


def test_a_server_that_was_checked_is_shown_with_its_latency_and_its_free_space(page, line):
    line.uploader.link("idle", since_s=time.time() - 600, health=checked())
    page.until_text(".link .server", "checked 12 s ago, 3.2 ms, 41.2 GB free")
    assert page.text(".link h3") == "Link idle"
    line.uploader.link("idle", since_s=time.time() - 600, health=checked(latency_s=None, free_bytes=None))
    page.until("!document.querySelector('.link .server').textContent.includes('free')")
    assert page.text(".link .server").endswith("checked 12 s ago")


def test_the_finding_of_a_check_is_shown_with_what_to_do_though_the_link_is_up(page, line):
    refused = "cannot create a file in '/in' on the server: PERMISSION_DENIED"
    line.uploader.link("up", since_s=time.time(), health=checked(ok=False, words=refused, hint="check the permissions"))
    page.until_text(".link .reason", "annot create a file in '/in'")
    assert page.text(".link h3") == "Link up"
    assert "heck the permissions" in page.text(".link .hint")
    assert page.evaluate("document.querySelector('.link').dataset.look") == "notice"


def test_a_server_that_is_sent_nothing_says_until_when(page, line):
    resting = "outside its delivery window until 22:00"
    line.uploader.link("idle", since_s=time.time(), held_back=resting, health=checked(words="no folder yet"))
    page.until_text(".link .reason", "utside its delivery window until 22:00")
    assert page.evaluate("document.querySelector('.link').dataset.look") == "idle"
    assert not page.evaluate("document.querySelector('.link .hint').checkVisibility()")


def test_a_link_that_is_down_is_described_with_since_when_why_and_what_to_do_and_so_is_its_recovery(page, line):
    since = time.time() - 42
    line.uploader.link(
        "down",
        since_s=since,
        reason="connection refused by 127.0.0.1 port 2222",
        hint="Check that the SFTP server runs.",
        waiting=14,
        retry_in_s=4.2,
    )
    line.uploader.stats["queue_size"] = 14
    line.health |= {
        "state": "attention",
        "severity": "degraded",
        "sentence": "Iris works, but the link has been down for 42 s.",
    }
    page.until_text(".link h3", "Link down")
    link = page.text(".link")
    assert f"since {time_of_day(since)}, for 4" in link
    assert "onnection refused by 127.0.0.1 port 2222" in link
    assert "Check that the SFTP server runs." in link
    assert SERVER in link
    assert "next attempt in 4 s" in link
    assert page.text("#sentence") == "Iris works, but the link has been down for 42 s."
    page.until("document.title === 'Iris: link down, 14 waiting'")

    back = time.time()
    line.uploader.link("up", since_s=back)
    line.uploader.stats["queue_size"] = 0
    line.health |= {"state": "ready", "severity": "working", "sentence": "Iris works: every file is delivered."}
    page.until_text(".link h3", "Link up")
    assert f"since {time_of_day(back)}" in page.text(".link")
    assert "refused" not in page.text(".link")
    assert "Check" not in page.text(".link")
    page.until_text(field("waiting"), "0")


def test_a_state_is_shown_by_word_and_shape_not_by_colour_alone(page, line):
    shape = "document.querySelector('.link .shape use').getAttribute('href')"
    shapes = {page.evaluate(shape)}
    for link, text in [("down", "Link down"), ("idle", "Link idle")]:
        line.uploader.link(link, since_s=time.time())
        page.until_text(".link h3", text)
        shapes.add(page.evaluate(shape))
    assert len(shapes) == 3


def test_an_uploader_that_does_not_run_is_shown_at_its_links(page, line):
    line.uploader.running = False
    page.until_text(".link h3", "Delivery stopped")


def test_the_page_says_when_no_server_was_needed_yet(page, line):
    line.uploader.servers.clear()
    page.until("document.querySelectorAll('.link').length === 0")
    text = page.evaluate("getComputedStyle(document.querySelector('.links'), '::before').content")
    assert "No server was needed yet" in text


def test_the_backlog_of_the_last_minutes_is_drawn_and_described(page, line):
    line.uploader.link("down", since_s=time.time())
    line.uploader.stats["queue_size"] = 40
    page.until_text(field("backlog-remark"), "most 40, shaded: link down")
    line.uploader.link("up", since_s=time.time())
    line.uploader.stats["queue_size"] = 1
    page.until("document.querySelector('#backlog').ariaLabel.endsWith('the last 30 seconds: now 1, most 40')")
    assert page.text(field("backlog-from")) == "30 s ago"
    assert page.evaluate("document.querySelectorAll('#backlog rect').length") == 1
    assert page.evaluate("document.querySelector('#backlog [data-part=line]').getTotalLength()") > 0


def test_a_new_frame_is_a_new_picture(page, line):
    page.evaluate("window.first = document.querySelector('.picture img')")
    line.camera.picture = picture(8)
    line.camera.seen["frames"] += 1
    page.until("document.querySelector('.picture img') !== window.first")
    assert page.evaluate("document.querySelector('.picture img').naturalWidth") == 960  # as large as it is shown
    assert page.evaluate("document.querySelectorAll('.picture img').length") == 1


def test_no_picture_is_asked_for_without_a_new_frame(page, line):
    asked = line.camera.pictures_asked
    for delivered in range(146, 166):  # twenty states later
        line.uploader.stats["total_uploaded"] = delivered
        page.until_text(field("delivered"), str(delivered))
    assert line.camera.pictures_asked == asked


def test_pictures_that_take_long_do_not_pile_up(browser, serve):
    asked, let_go = threading.Semaphore(0), threading.Event()

    def slow_picture():
        asked.release()
        let_go.wait(WAIT_S)
        return picture(7)

    line = LineWithSlowPictures(slow_picture)
    server = serve(line)
    browser.open(server.address)
    assert asked.acquire(timeout=WAIT_S)
    for frames in range(2000, 2020):
        line.camera.seen["frames"] = frames
        browser.until_text(field("frame"), f"{frames:,}")
    assert not asked.acquire(blocking=False)
    let_go.set()
    browser.until("document.querySelector('.picture img').naturalWidth > 0")


def test_a_missing_picture_is_stated_until_there_is_one(browser, line, serve):
    line.camera.picture = None
    browser.open(serve(line).address)
    browser.until_text(field("parts"), "61")
    assert browser.text(".picture .no-picture") == "No picture yet"
    line.camera.picture = picture(1)
    browser.until("document.querySelector('.picture img').naturalWidth > 0")
    browser.until("document.querySelector('.no-picture').hidden")


def test_iris_not_ready_is_shown_with_its_sentence(page, line):
    line.health |= {
        "ready": False,
        "state": "unready",
        "severity": "failed",
        "sentence": "Iris is not ready: line-1 is offline.",
    }
    page.until_text("#sentence", "Iris is not ready: line-1 is offline.")
    assert page.evaluate("document.querySelector('#sentence use').getAttribute('href')") == "#shape-bad"
    page.until("document.title === 'Iris: not ready'")


def test_a_page_without_news_says_since_when_and_recovers_by_itself(page, line, serve):
    before = time.time()
    serve.end()
    page.until_text(field("no-news"), "No news from Iris since ")
    since = page.evaluate(
        "document.querySelector('[data-field=no-news]').textContent.match(/since (\\d\\d:\\d\\d:\\d\\d)/)[1]"
    )
    assert since in {time_of_day(before + seconds) for seconds in range(-2, 6)}
    assert "(Iris is stopping)" in page.text(field("no-news"))
    assert "What you see is from then" in page.text(field("no-news"))
    assert "Iris works" not in page.text("body")  # an old sentence must not read as if it were true now
    page.until("document.title === 'Iris: no news'")

    again = FakeLine(period_s=0.05, wall=time.time)
    again.uploader.stats["total_uploaded"] = 147
    serve(again)
    page.until_text(field("delivered"), "147", timeout_s=WAIT_S)
    assert "No news" not in page.text("body")
    assert "Iris works: 3 files on the way." in page.text("body")


def test_an_updated_iris_gets_its_own_page(page, line):
    page.evaluate("window.beforeTheUpdate = true")
    real = line.snapshot
    line.snapshot = lambda: {**real(), "version": "0.2.0"}
    page.until("window.beforeTheUpdate === undefined && document.body.innerText.includes('Iris 0.2.0')")


def test_names_and_errors_from_elsewhere_never_become_markup(page, line):
    line.camera.seen["frames"] += 1
    line.uploader.servers[MARKUP] = {
        **line.uploader.servers.pop(SERVER),
        "link": "down",
        "reason": MARKUP,
        "hint": MARKUP,
    }
    line.health["sentence"] = MARKUP
    page.until_text(".link .server", MARKUP)
    assert page.text("#sentence") == MARKUP
    assert page.evaluate("document.querySelectorAll('b, .link img').length") == 0
    assert "owned" not in page.evaluate("document.title")


def test_changes_are_announced_once_to_a_screen_reader(page, line):
    announced = "document.querySelector('[role=status]').textContent"
    assert page.evaluate(announced) == "Iris works: 3 files on the way."
    line.health["sentence"] = "Iris works: 4 files on the way."
    page.until_text("#sentence", "4 files")
    assert page.evaluate(announced) == "Iris works: 3 files on the way."
    line.uploader.link("down", since_s=time.time())
    line.health |= {"state": "attention", "severity": "degraded", "sentence": "Iris works, but the link is down."}
    page.until(f"{announced} === 'Iris works, but the link is down.'")


def test_every_text_can_be_read_in_both_themes(page, line):
    line.uploader.link("down", since_s=time.time(), reason="refused", hint="look at it", retry_in_s=3.0)
    line.health |= {"state": "attention", "severity": "degraded", "sentence": "Iris works, but the link is down."}
    line.records |= {"kept_files": 3, "kept_bytes": 4_000, "last_removed": REMOVED}
    line.camera.seen |= {"errors": 2, "frames_per_s": 3.0}
    line.camera.turn("offline", "no route to it", at_s=time.time())
    line.cameras.append(FakeCamera("line-2", since_s=time.time() - 60))
    page.until_text(".link h3", "Link down")
    page.until("document.querySelectorAll('.camera').length === 2")
    for theme in ("light", "dark"):
        page.theme(theme)
        assert page.evaluate(CONTRASTS_BELOW_AA) == [], theme


def test_the_page_loads_nothing_from_elsewhere_and_its_console_stays_empty(page, line):
    line.camera.picture = replace(line.camera.picture, number=9)
    line.camera.seen["frames"] += 1
    page.until("performance.getEntriesByType('resource').length > 8")
    loaded = page.evaluate("performance.getEntriesByType('resource').map((resource) => resource.name)")
    own = page.evaluate("location.origin")
    assert [name for name in loaded if not name.startswith(own)] == []
    assert page.console == []


# WCAG 2: 4.5 for text, of the element's colour against the nearest opaque background behind it.
CONTRASTS_BELOW_AA = """(() => {
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const luminance = (colour) => {
        const [r, g, b] = channels(colour).slice(0, 3).map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            const alpha = channels(colour)[3];
            if (alpha === undefined || alpha > 0.7) { return colour; }
        }
        return "rgb(255, 255, 255)";
    };
    return [...document.querySelectorAll("h1, h2, h3, p, dt, dd, li, time, strong, summary, .number, .remark, span")]
        .filter((e) => e.offsetParent && e.textContent.trim() && !e.closest(".for-ears-only"))
        .map((e) => [e.textContent.trim(), luminance(getComputedStyle(e).color), luminance(behind(e))])
        .map(([text, a, b]) => [text, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)])
        .filter(([, ratio]) => ratio < 4.5);
})()"""


def test_a_server_that_refuses_or_waits_for_a_person_is_seen_beside_its_link(page, line):
    (server,) = line.uploader.servers.values()
    server |= {"refused": 2, "refusal": {"message": "cannot create a.csv", "hint": "permit it", "new_in_a_row": 2}}
    page.until_text("#links [data-field=reason]", "Refuses 2 files: cannot create a.csv")
    assert page.text("#links [data-field=hint]") == "Permit it"
    server |= {"link": "down", "held": True, "reason": "the login is refused", "refused": 0, "refusal": None}
    page.until_text("#links [data-field=state]", "Needs you")
    line.health |= {"ready": False, "state": "unready", "severity": "needs you", "sentence": "Iris needs you: now."}
    page.until("document.title === 'Iris: needs you'")
    assert page.evaluate("document.getElementById('sentence').dataset.look") == "bad"
