"""What the README shows must work: its snippet runs, its commands and files exist."""

import ast
import re
from pathlib import Path

from iris_communication import sftp_uploader_thread
from tests.fresh_copy import fresh_copy

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_uploader_embedded_in_five_lines_accepts_a_file(tmp_path, monkeypatch):
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    statements = [node for node in ast.parse(snippet).body if not isinstance(node, ast.ImportFrom)]
    assert len(statements) <= 5
    fresh_copy(sftp_uploader_thread, monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))  # its private key is not there, so nothing is connected to
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("a,b\n")
    names = {}
    exec(snippet.replace("/var/lib/line-1/outbox", str(tmp_path / "outbox")), names)
    try:
        assert names["accepted"] is True
        assert names["uploader"].get_stats()["total_queued"] == 1
    finally:
        names["uploader"].close(0.0)


def test_the_page_is_short():
    assert README.count("\n") <= 120


def test_every_make_target_that_the_page_names_exists():
    for target in re.findall(r"(?:^ {4}|`)(?:sudo )?make ([a-z-]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_every_file_that_the_page_links_to_exists():
    for link in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (ROOT / link).exists(), link
