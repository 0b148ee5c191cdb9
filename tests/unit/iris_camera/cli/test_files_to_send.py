"""Which files a command line means, before anything is queued."""

import pytest

from iris_camera.cli.files_to_send import NotToSend, files_to_send


@pytest.fixture
def tree(tmp_path):
    for name in ("tree/b.csv", "tree/a.csv", "tree/deep/c.csv", "single.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    return tmp_path


def test_files_keep_the_order_they_were_named_in_and_are_sent_once(tree):
    named = [tree / "single.csv", tree / "tree" / "a.csv", tree / "single.csv"]
    found = files_to_send(named, recursive=False)
    assert [(file.path.name, file.size_bytes, file.project) for file in found] == [
        ("single.csv", 5, tree.name),
        ("a.csv", 5, "tree"),
    ]


def test_each_file_below_a_folder_keeps_the_folders_it_lies_in(tree):
    found = files_to_send([tree / "tree"], recursive=True)
    assert [(file.path.name, file.project, file.folder) for file in found] == [
        ("a.csv", "tree", ""),
        ("b.csv", "tree", ""),
        ("c.csv", "tree", "deep"),
    ]


def test_a_link_to_a_file_is_sent_under_its_own_name_and_one_to_a_folder_is_not_followed(tree):
    (tree / "tree" / "link.csv").symlink_to(tree / "single.csv")
    (tree / "tree" / "loop").symlink_to(tree)
    assert [file.path.name for file in files_to_send([tree / "tree"], recursive=True)] == [
        "a.csv",
        "b.csv",
        "link.csv",
        "c.csv",
    ]


def test_everything_that_is_wrong_is_reported_at_once(tree):
    with pytest.raises(NotToSend) as caught:
        files_to_send([tree / "missing", tree / "tree", tree / "single.csv", tree / "-"], recursive=False)
    assert [reason.rpartition("/")[2] for reason in caught.value.reasons] == [
        "missing: No such file or directory",
        "tree: is a folder; --recursive sends the files below it",
        "-: No such file or directory",
    ]
