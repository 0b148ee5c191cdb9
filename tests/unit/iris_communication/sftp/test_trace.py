"""What is told afterwards of a session: every request and every answer, and nothing of a file."""

import gc
import weakref

from iris_communication.errors import SourceChanged
from iris_communication.sftp import wire
from iris_communication.sftp.trace import EVENTS_MAX, lines
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import MemoryServer
from tests.memory_link import MemoryLink
from tests.unit.iris_communication.sftp.owed import Owed

SECRET = b"id,label\n1,top secret\n"
T0_S = 1_790_000_000.0


def told(server, owed=None, ahead_s=0.0):
    link = MemoryLink(server)
    link.session.now_s = T0_S
    (owed or Owed(SECRET)).attempt(link)
    return lines(link.session.events, ahead_s)


def without_time(told_lines):
    return [line.partition(" ")[2] for line in told_lines]


def test_an_upload_is_told_request_by_request():
    owed = Owed(SECRET)
    found = without_time(told(MemoryServer(), owed))
    temp = owed.temp_path(owed.item.token).decode()
    size_bytes = len(SECRET)
    assert found[0].startswith("< VERSION 3 statvfs@openssh.com posix-rename@openssh.com")
    assert found[1:] == [
        "> 1 limits@openssh.com",
        "< 1 EXTENDED_REPLY",
        f"> 2 OPEN '{temp}' write create exclusive",
        "< 2 HANDLE 00000001",
        f"> 3 WRITE 00000001 offset 0 size {size_bytes}",
        "> 4 CLOSE 00000001",
        f"> 5 STAT '{temp}'",
        "< 3 OK",
        "< 4 OK",
        f"< 5 ATTRS size {size_bytes} mode 100644",
        f"> 6 RENAME '{temp}' '/in/a.csv'",
        "< 6 OK",
    ]


def test_each_line_begins_with_its_time_in_utc():
    assert {line.split()[0] for line in told(MemoryServer(), ahead_s=0.25)} == {"2026-09-21T14:13:20.250Z"}


def test_a_refusal_is_told_in_the_servers_words():
    assert "< 3 FAILURE (Failure)" in without_time(told(faulty.RefusesAWrite(1)))
    assert "< 6 PERMISSION_DENIED (Permission denied)" in without_time(told(faulty.RenamingForbidden()))


def test_content_that_the_server_already_held_is_told_by_size_alone():
    server = MemoryServer()
    server.files[b"/in/a.csv"] = bytearray(SECRET)
    found = without_time(told(server))
    assert any(line.startswith("> ") and " READ " in line for line in found)
    assert any(line.endswith(f"DATA {len(SECRET)} bytes") for line in found)


def test_every_kind_of_request_has_its_line():
    server = MemoryServer(replaces=False)
    server.files |= {b"/in/new/a.csv": bytearray(b"old"), b"/in/new/a.csv.sha256": bytearray(b"old")}
    found = told(server, Owed(SECRET, final_path=b"/in/new/a.csv", conflict="overwrite", marker=".sha256"))
    found += told(MemoryServer(), Owed(SECRET, conflict="overwrite", marker=".sha256"))
    text = {line.split()[3] for line in found if line.split()[1] == ">"}
    assert text >= {"OPEN", "WRITE", "CLOSE", "STAT", "RENAME", "REMOVE", "MKDIR", "posix-rename@openssh.com"}


def test_no_content_of_a_file_is_told_or_kept():
    server = MemoryServer()
    server.files[b"/in/a.csv"] = bytearray(SECRET)
    link = MemoryLink(server)
    Owed(SECRET, marker=".sha256").attempt(link)
    assert "secret" not in "\n".join(lines(link.session.events, 0.0))
    assert b"secret" not in repr(link.session.events).encode()


def test_the_latest_events_alone_are_kept():
    link = MemoryLink(MemoryServer()).open()
    for number in range(100):
        Owed(SECRET, final_path=b"/in/%d.csv" % number).begin(link)
    link.run()
    assert len(link.session.events) == EVENTS_MAX
    assert "'/in/99.csv'" in "\n".join(lines(link.session.events, 0.0))


def test_a_server_that_says_much_is_cut_and_stays_on_its_line():
    class Talkative(MemoryServer):
        """Explains itself at length, over several lines."""

        def answer(self, session, request):
            if isinstance(request, wire.Open):
                return wire.Status(wire.FX_FAILURE, "no\n\x1b[31m" * 10_000)
            return super().answer(session, request)

    found = [line for line in told(Talkative()) if "FAILURE" in line]
    assert found
    assert all(len(line) < 1000 and line.isprintable() for line in found)


def test_names_that_are_no_text_are_shown():
    found = "\n".join(told(MemoryServer(), Owed(SECRET, final_path=b"/in/\xff\n.csv")))
    assert r"\\xff\n.csv" in found
    assert all(line.isprintable() for line in found.splitlines())


def test_a_piece_that_could_not_be_read_is_told_as_not_sent():
    class Gone:
        """A source that has changed."""

        def read(self, offset, size_bytes):
            raise SourceChanged("spool/17 is shorter now")

    link = MemoryLink(MemoryServer()).open()
    owed = Owed(SECRET)
    upload, conversation = owed.begin(link)
    conversation.source = Gone()
    link.run()
    assert "! 3 not sent: spool/17 is shorter now" in without_time(lines(link.session.events, 0.0))
    assert not owed.settle(upload, conversation)


def test_an_upload_that_was_refused_is_not_kept_alive_by_its_trace():
    link = MemoryLink(faulty.RenamingForbidden()).open()
    owed = Owed(SECRET)
    begun = owed.begin(link)
    link.run()
    owed.settle(*begun)
    source = weakref.ref(owed.source)
    del begun, owed
    gc.collect()
    assert source() is None
    assert link.session.events
