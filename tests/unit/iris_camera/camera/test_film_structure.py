import pytest

from iris_camera.camera.film_structure import broken_off


def box(name, content=b"", length=None):
    return (8 + len(content) if length is None else length).to_bytes(4, "big") + name + content


def large_box(name, content, length=None):
    return box(name, (16 + len(content) if length is None else length).to_bytes(8, "big") + content, length=1)


def element(name, content, length=None):
    length = len(content) if length is None else length
    return bytes.fromhex(name) + (length | 1 << 56).to_bytes(8, "big") + content


NOT_KNOWN = (1 << 56) - 1
EBML = element("1a45dfa3", b"\x42\x86\x81\x01")
BLOCK = element("a3", bytes(100))
PACKET = b"\x47" + bytes(187)
FLV = b"FLV\x01\x01" + (9).to_bytes(4, "big") + bytes(4)
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


def tag(content, length=None):
    return b"\x09" + (len(content) if length is None else length).to_bytes(3, "big") + bytes(7) + content + bytes(4)


def page(*segments):
    return b"OggS" + bytes(22) + bytes([len(segments), *map(len, segments)]) + b"".join(segments)


def asf_object(content, guid=bytes(16), length=None):
    return guid + (24 + len(content) if length is None else length).to_bytes(8, "little") + content


def riff(name, content, length=None):
    return b"RIFF" + (len(content) + 4 if length is None else length).to_bytes(4, "little") + name + content


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no film at all",
        box(b"ftyp") + box(b"moov", bytes(50)) + box(b"mdat", bytes(100)),
        box(b"ftyp") + box(b"moov", bytes(50)) + box(b"mdat", bytes(100), length=0),
        box(b"ftyp") + large_box(b"mdat", bytes(100)),
        box(b"ftyp") + box(b"moov", bytes(50)) + b"\xff\xff\xff\xffXXXX and what somebody appended",
        riff(b"AVI ", bytes(200)),
        riff(b"AVI ", bytes(200)) + riff(b"AVIX", bytes(200)),
        riff(b"AVI ", bytes(200), length=0),
        riff(b"AVI ", bytes(200), length=0xFFFFFFFF),
        EBML + element("18538067", element("1f43b675", BLOCK)),
        EBML + element("18538067", element("1f43b675", BLOCK) * 3, length=NOT_KNOWN),
        EBML + element("18538067", element("1f43b675", BLOCK * 3, length=NOT_KNOWN) * 2, length=NOT_KNOWN),
        PACKET * 20,
        (bytes(4) + PACKET) * 20,
        FLV + tag(bytes(300)) * 3,
        FLV + (tag(bytes(300)) * 3)[:-4],
        FLV + tag(bytes(300)) * 3 + b"what somebody appended",
        page(bytes(255), bytes(20)) * 3,
        page(bytes(255)) + b"what somebody appended",
        asf_object(bytes(30), ASF) + asf_object(bytes(500)) + asf_object(b""),
        asf_object(bytes(30), ASF) + asf_object(bytes(500), length=0),
    ],
)
def test_a_file_that_is_whole_or_does_not_announce_its_length_does_not_break_off(tmp_path, data):
    (tmp_path / "film").write_bytes(data)
    assert broken_off(tmp_path / "film") is None


@pytest.mark.parametrize(
    ("data", "inside"),
    [
        (box(b"ftyp") + box(b"moov", bytes(50)) + box(b"mdat", bytes(100), length=500), "its box mdat"),
        ((bytes(4) + PACKET) * 20 + bytes(80), "a packet"),
        (FLV + tag(bytes(300)) * 3 + tag(bytes(30), length=300), "a tag"),
        (FLV + tag(bytes(300)) * 3 + b"\x09\0", "a tag"),
        (page(bytes(255), bytes(20)) * 3 + page(bytes(255), bytes(20))[:-1], "a page"),
        (page(bytes(255)) + page(bytes(255))[:20], "a page"),
        (asf_object(bytes(30), ASF) + asf_object(bytes(500), length=9000), "an object"),
        (asf_object(bytes(30), ASF) + bytes(20), "an object"),
        (box(b"ftyp") + large_box(b"mdat", bytes(100), length=1 << 40), "its box mdat"),
        (box(b"ftyp") + box(b"moov", bytes(50), length=5000), "its box moov"),
        (riff(b"AVI ", bytes(200), length=4000), "its RIFF chunk"),
        (riff(b"AVI ", bytes(200)) + riff(b"AVIX", bytes(20), length=200), "its RIFF chunk"),
        (EBML + element("18538067", element("1f43b675", BLOCK, length=4000)), "a cluster"),
        (EBML + element("18538067", element("1f43b675", BLOCK + BLOCK[:50], length=NOT_KNOWN)), "an element"),
        (EBML + element("18538067", element("1f43b675", BLOCK + bytes(50), length=NOT_KNOWN)), "what stands at byte"),
        (PACKET * 20 + PACKET[:77], "a packet"),
    ],
)
def test_a_file_that_ends_inside_a_piece_breaks_off_there(tmp_path, data, inside):
    (tmp_path / "film").write_bytes(data)
    assert broken_off(tmp_path / "film").startswith(inside)


def test_a_file_that_is_gone_by_then_is_not_reported_as_broken_off(tmp_path):
    assert broken_off(tmp_path / "gone.mp4") is None


@pytest.mark.parametrize("length", range(0, 60, 7))
def test_no_beginning_of_a_file_hangs_the_reader(tmp_path, length):
    for whole in (box(b"ftyp") + box(b"free", length=0), EBML + element("18538067", BLOCK), riff(b"AVI ", bytes(50))):
        (tmp_path / "film").write_bytes(whole[:length])
        broken_off(tmp_path / "film")
