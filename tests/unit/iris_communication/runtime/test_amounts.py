import pytest

from iris_communication.runtime.amounts import counted, files, size


@pytest.mark.parametrize(("count", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1000, "1,000 files")])
def test_one_file_is_no_files(count, text):
    assert files(count) == text


def test_a_count_has_its_own_plural():
    assert counted(1, "class", "classes") == "1 class"
    assert counted(3, "class", "classes") == "3 classes"
    assert counted(1, "file was", "files were") == "1 file was"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (999.6, "1 kB"),
        (1000, "1 kB"),
        (1234, "1.2 kB"),
        (99_949, "99.9 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (1_200_000_000, "1.2 GB"),
        (2 * 10**12, "2 TB"),
        (5 * 10**19, "50 EB"),
        (5 * 10**22, "50000 EB"),
    ],
)
def test_a_size_is_said_in_the_unit_that_fits(size_bytes, text):
    assert size(size_bytes) == text
