"""A server whose disk is replaced while renames are unanswered: found by the simulation, shrunk to one scene."""

import asyncio

from iris_communication.item import Take
from iris_communication.testing.faulty_servers import LosesTheRename
from tests.simulation.site import ComesBackWithoutFolders
from tests.simulation.world import SimulatedWorld
from tests.virtual_time import run


async def scene(world):
    """A large file, then a small one that is renamed first; the server dies there and comes back with an empty disk.
    The large one goes first again and makes their folder again, before the small one's rename is asked about."""
    supervisor = asyncio.get_running_loop().create_task(world.supervise())
    await asyncio.sleep(1.0)
    server = world.servers[0]
    site = world.sites[server.key]
    site.manners.update(handles_max=None, rename_overwrites=False)
    site.latency_s, site.bytes_per_s = 0.05, 1e6
    site.become(ComesBackWithoutFolders)
    site.server.lost = LosesTheRename  # not yet: the first file only opens the connection
    for number, size_bytes in enumerate([10, 300_000, 300_000, 20]):
        content = bytes([number]) * size_bytes
        path = world.folder / "out" / f"{number}.csv"
        path.write_bytes(content)
        remote_path = f"/in/line/{number}.csv"
        world.audit.offer(server.key, remote_path, content)
        assert world.offer((path, [server], remote_path, Take.COPY, content, {}))
        if number == 0:
            await asyncio.sleep(5.0)
            site.server.lost = None
    await asyncio.sleep(120.0)
    owed = world.owed()
    supervisor.cancel()
    world.kill("the end")
    await asyncio.sleep(10.0)
    return owed


def test_a_file_is_sent_again_when_the_disk_was_replaced_and_a_neighbour_has_made_the_folder_again(tmp_path):
    world = SimulatedWorld(1, tmp_path)
    owed = run(scene(world), world.clock)
    assert owed == []
    assert world.audit.broken == []
