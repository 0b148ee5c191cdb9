"""One attempt at an upload that has to deliver or to fail, on a server in memory."""

import hashlib

from tests.memory_link import MemoryLink
from tests.unit.iris_communication.sftp.owed import Owed

CONTENT = b"id,label\n1,good\n"
OTHER = b"id,label\n1,evil\n"  # of the same size
ALTERNATIVE = b"/in/a." + hashlib.sha256(CONTENT).hexdigest()[:8].encode() + b".csv"


def attempt(server, owed, **link):
    return owed.attempt(MemoryLink(server, **link))


def at_once(link, owed):
    """One attempt of each, all on one link: which of them delivered."""
    begun = [one.begin(link) for one in owed]
    link.run()
    return [one.settle(*attempt_) for one, attempt_ in zip(owed, begun, strict=True)]


def delivered(server, **facts):
    """One attempt that has to deliver."""
    owed = Owed(CONTENT, **facts)
    assert attempt(server, owed), owed.error
    return owed


def failed(server, kind, owed=None):
    """One attempt that has to fail with this error, and leaves no temporary file."""
    owed = owed or Owed(CONTENT)
    assert not attempt(server, owed)
    assert type(owed.error) is kind
    return owed


def asked(server, *kinds):
    return [request for request in server.asked if isinstance(request, kinds)]


def turns(server, path):
    """How often something went there and came back until a file was delivered."""
    link, counted = MemoryLink(server).open(), []
    link.on_turn = lambda: counted.append(path)
    assert at_once(link, [Owed(CONTENT, final_path=path)]) == [True]
    return len(counted)
