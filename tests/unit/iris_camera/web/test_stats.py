from tests.unit.iris_camera.web.fake_line import FakeLine, get


def test_the_fixed_endpoint_answers_exactly_what_was_agreed():
    answer = get(FakeLine().app, "/sftp-uploader-stats")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "running": True,
        "stats": {"total_queued": 150, "total_uploaded": 145, "total_failed": 2, "queue_size": 3},
    }


def test_the_fixed_endpoint_answers_during_the_drain():
    line = FakeLine()
    line.uploader.state = "draining"
    assert get(line.app, "/sftp-uploader-stats").json()["running"] is True


def test_the_fixed_endpoint_reports_an_uploader_that_no_longer_runs():
    line = FakeLine()
    line.uploader.running = False
    assert get(line.app, "/sftp-uploader-stats").json()["running"] is False
