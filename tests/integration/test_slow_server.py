"""A server that takes longer over a step than the progress timeout, and answers keep-alive meanwhile, is waited for."""

import asyncio
from dataclasses import replace

import asyncssh
import pytest

from tests.integration.uploading import IN_A_HURRY, contents_of, running, submit_all, wait_for
from tests.servers.asyncssh_server import AsyncSshServer

TIMEOUT_S = 0.2
SLOW_S = 0.7
FILES = {f"{number}.csv": b"1;2\n" * (number + 1) for number in range(3)}


def slow_at(step, opened):
    """asyncssh's server, which takes its time over every `step`; `opened` gets the name of each file that is begun."""

    class Slow(asyncssh.SFTPServer):
        async def _after_a_while(self, name, *arguments):
            if name == step:
                await asyncio.sleep(SLOW_S)
            return getattr(super(), name)(*arguments)

        async def open(self, path, pflags, attrs):
            opened.append(path)
            return await self._after_a_while("open", path, pflags, attrs)

        async def write(self, file_obj, offset, data):
            return await self._after_a_while("write", file_obj, offset, data)

        async def close(self, file_obj):
            return await self._after_a_while("close", file_obj)

        async def rename(self, oldpath, newpath):
            return await self._after_a_while("rename", oldpath, newpath)

    return Slow


@pytest.mark.parametrize("transport", ["asyncssh", "ssh"])
@pytest.mark.parametrize("step", ["open", "write", "close", "rename"])
def test_a_step_slower_than_the_timeout_ends_and_no_file_is_sent_twice(step, transport, tmp_path, sources):
    opened = []
    settings = replace(IN_A_HURRY, progress_timeout_s=TIMEOUT_S)
    with (
        AsyncSshServer(tmp_path / "server", sftp_server=slow_at(step, opened)) as server,
        running(tmp_path / "outbox", settings) as uploader,
    ):
        info = server.info("/") | {"transport": transport, "remote_path": "{remote_directory}/{file_name}"}
        wait_for(submit_all(uploader, info, FILES, sources).values())
        assert contents_of(server.folder) == FILES
        assert len(opened) == len(FILES)
