import re

import pytest

from tests.unit.iris_camera.web.fake_line import FakeLine, get


def page():
    return get(FakeLine().app, "/").text


def files_of_the_page():
    return sorted(set(re.findall(r'<(?:link|script|img)[^>]* (?:src|href)="([^"]+)"', page())))


def test_the_page_is_served_as_html():
    answer = get(FakeLine().app, "/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Iris" in answer.text


def test_every_file_the_page_names_is_served_with_its_media_type():
    media_types = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    assert files_of_the_page()
    for path in files_of_the_page():
        answer = get(FakeLine().app, f"/{path}")
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith(media_types[path.rpartition(".")[2]])


def test_every_module_a_script_imports_is_served():
    imported = re.findall(r'from "\./([^"]+)"', get(FakeLine().app, "/page.js").text)
    assert imported
    for name in imported:
        assert get(FakeLine().app, f"/{name}").status_code == 200, name


def test_the_page_works_under_its_own_policy():
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page())


@pytest.mark.parametrize("word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("])
def test_no_script_turns_data_into_markup(word):
    scripts = [path for path in files_of_the_page() if path.endswith(".js")]
    scripts += re.findall(r'from "\./([^"]+)"', get(FakeLine().app, "/page.js").text)
    for path in scripts:
        assert word not in get(FakeLine().app, f"/{path}").text, path


def test_no_file_is_loaded_from_another_host():
    for path in ["", *files_of_the_page()]:
        text = get(FakeLine().app, f"/{path}").text.replace("http://www.w3.org/", "")
        assert not re.search(r"https?://", text), path
