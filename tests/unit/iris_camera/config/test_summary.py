"""What would run, as `iris check` says it."""

from iris_camera.config.summary import summary
from tests.unit.iris_camera.config.server_text import server


def test_what_would_run_is_said_in_plain_words_without_secrets(reading_of, tmp_path):
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
    for words in (
        "bikes.mp4, as fast as it can be inspected, once; found by OpenCV's cascade frontalface_default",
        "judged by the detector's own label",
        "Its records go to plant as project belt.",
        "Camera gate: rtsp://gate.local/stream, at most 5 frames a second, logging in as viewer; found by the demo's",
        "Camera spare: disabled.",
        "Server plant: iris@sftp.example:22, logging in with a password, into /in; its host key is pinned.",
        "a file ends at 10000 rows, 1 MB or 60 s. After delivery up to 2 GB are kept.",
        "Page: http://127.0.0.1:5000.",
    ):
        assert words in said
    assert "hunter2" not in said


def test_a_detector_whose_word_is_never_a_defect_is_said(reading_of):
    film = '[cameras.a]\nsource = "file:/films/bikes.mp4"\n[inspection.detector]\nkind = "haar"\n'
    said = "\n".join(summary(reading_of(film).config))
    assert 'a defect is "defect", but every verdict is "frontalface", so there is none' in said
    named = "\n".join(summary(reading_of(film + 'label = "face"\n[inspection]\ndefect_labels = ["face"]\n').config))
    assert "so there is none" not in named
