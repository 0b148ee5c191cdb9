"""What would run, as `iris check` prints it."""

from iris_camera.config.summary import summary
from tests.unit.iris_camera.config.server_text import server


def test_the_summary_describes_what_would_run_without_secrets(reading_of, tmp_path):
    reading = reading_of(
        server(remote_directory="/in")
        + """
[cameras.belt]
source = "file:/films/bikes.mp4"
pace = "fast"
inspection.detector.kind = "haar"
[cameras.gate]
source = "rtsp://gate.local/stream"
username = "viewer"
password = "hunter23"
frame_rate = 5
[cameras.spare]
enabled = false
[records]
keep_bytes_max = 2_000_000_000
"""
    )
    said = "\n".join(summary(reading.config))
    for part in (
        "bikes.mp4, as fast as it can be inspected, once; found by OpenCV's cascade frontalface_default",
        "judged by the detector's own label",
        "Its records go to plant as project belt.",
        "Camera gate: rtsp://gate.local/stream, at most 5 frames a second, logging in as viewer; found by the demo's",
        "Camera spare: disabled.",
        "Server plant: iris@sftp.example:22, logging in with a password, into /in; its host key is pinned.",
        "a file ends at 10,000 rows, 1 MB or 60 s. After delivery up to 2 GB are kept.",
        "Page: http://127.0.0.1:5000.",
    ):
        assert part in said
    assert "hunter2" not in said


def test_the_summary_says_whether_pictures_stand_alone(reading_of):
    text = """
[cameras.a]
source = "dir:/shots/**"
[cameras.b]
source = "dir:/frames"
stills = false
[cameras.c]
source = "http://gate/shots"
stills = true
"""
    said = "\n".join(summary(reading_of(text).config))
    assert "Camera a: the pictures in /shots and the folders in it, and those that come, each by itself; found" in said
    assert "Camera b: the pictures in /frames, and those that come, as the frames of one film; found" in said
    assert "Camera c: http://gate/shots, each picture by itself; found" in said


def test_the_summary_says_how_files_are_delivered(reading_of):
    text = (
        server(conflict="keep", marker=".sha256")
        + """bandwidth_bytes_per_s = 1_500_000
windows = ["Mon-Fri 18:00-06:00", "Sat,Sun"]
health_interval_s = 0
[servers.office]
host = "office"
username = "u"
[cameras.a]
server = ["plant", "office"]
[delivery.rules.tables]
pattern = "*.csv"
batch = "zip"
batch_wait_s = 30
[outbox]
bytes_max = 20_000_000_000
when_full = "drop_lowest"
"""
    )
    said = "\n".join(summary(reading_of(text).config))
    for part in (
        "Its records go to plant and to office as project a.",
        (
            "its host key is pinned; a file whose name is taken there is not sent; each file is followed by its "
            ".sha256; at most 1.5 MB a second; only Mon-Fri 18:00-06:00 and Sat,Sun, local time; its health is not "
            "looked at."
        ),
        "Server office: u@office:22, logging in with what its agent has, into .; ~/.ssh/known_hosts has to know it.",
        "Rule tables: files of pattern *.csv: batch zip, batch_wait_s 30.",
        "Rule evidence-first: files of folder_type evidence: priority 5.",
        "room for 100,000 files and 20 GB, 50 MB of its disk left free; what is new drops what waits with the lowest",
    ):
        assert part in said


def test_a_detector_whose_label_is_never_a_defect_is_reported(reading_of):
    film = '[cameras.a]\nsource = "file:/films/bikes.mp4"\n[inspection.detector]\nkind = "haar"\n'
    said = "\n".join(summary(reading_of(film).config))
    assert 'a defect is "defect", but every verdict is "frontalface", so there is none' in said
    named = "\n".join(summary(reading_of(film + 'label = "face"\n[inspection]\ndefect_labels = ["face"]\n').config))
    assert "so there is none" not in named
