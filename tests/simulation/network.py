"""The link between the computer and its servers, simulated: slow, cut after any byte, silent for hours.

A connection that we believe dead may go on: what was under way when it was cut arrives all the same, at times minutes
later. Nothing a dead process had sent is called back either.
"""

import asyncio
from collections import deque

from iris_communication.errors import AuthenticationFailed, ConnectionRefused, LinkLost, LinkTimeout

LATE_MAX_S = 120.0


class SimulatedTransport:
    """Keeps the contract `iris_communication.transport.contract.Transport`. Belongs to one process."""

    def __init__(self, sites):
        self._sites = sites
        self._channels = []

    async def connect(self, server, secret, settings, receiver):
        site = self._sites[server.key]
        await asyncio.sleep(site.latency_s)
        if site.silent:
            await asyncio.sleep(settings.connect_timeout_s)
            raise LinkTimeout(f"{server.key} does not answer")
        if site.refusing:
            raise ConnectionRefused(f"{server.key} refuses connections")
        if site.locked:
            raise AuthenticationFailed(f"{server.key} does not take the password")
        channel = SimulatedChannel(site, receiver)
        self._channels.append(channel)
        return channel

    def abandon(self):
        for channel in self._channels:
            channel.abandon()


class SimulatedChannel:
    """Keeps the contract `iris_communication.transport.contract.Channel`."""

    keeps_alive = False  # a silent server's does not end by itself

    def __init__(self, site, receiver):
        self.algorithms = None
        self.software, self.host_key = site.server.software, site.server.host_key
        self.severed = False  # nothing more arrives at the server
        self._site, self._receiver = site, receiver
        self._far = site.server.session()
        self._loop = asyncio.get_running_loop()
        self._lost = self._abandoned = False
        self._bytes_left = site.bytes_until_reset()
        self._under_way = deque()
        self._on_the_way_back = deque()
        self._free_s = self._back_free_s = 0.0
        site.channels.append(self)

    def write(self, data):
        if self._lost or self._abandoned:
            return
        site = self._site
        arrives_s = max(self._loop.time() + site.latency_s, self._free_s) + len(data) / site.bytes_per_s
        self._free_s = arrives_s
        self._under_way.append(bytes(data))
        self._loop.call_at(arrives_s, self._arrive)

    def close(self):
        self.lose("was closed")

    def abandon(self):
        """Our process is gone; what it has sent is not."""
        self._abandoned = True

    def lose(self, why):
        if self._lost or self._abandoned:
            return
        self._lost = True
        chance = self._site.random.random()
        if chance < 0.5:
            self.severed = True
        elif chance < 0.75 and self._under_way:
            late, self._under_way = self._under_way, deque()
            self._loop.call_later(self._site.random.uniform(0.0, LATE_MAX_S), self._arrive_late, late)
        self._loop.call_soon(self._receiver.channel_lost, LinkLost(f"the simulated connection {why}"))

    def _arrive_late(self, late):
        for data in late:
            if not self.severed:
                self._far.receive(data)

    def _arrive(self):
        if self.severed or not self._under_way:
            return
        data = self._under_way.popleft()
        if self._site.silent and not self._lost:
            self.severed = True  # no byte arrives any more, and no error says so
            return
        if self._bytes_left is not None:
            data, self._bytes_left = data[: self._bytes_left], self._bytes_left - len(data)
        replies = self._far.receive(data)
        if replies:
            self._answer(replies)
        if self._far.ended or (self._bytes_left is not None and self._bytes_left <= 0):
            self.severed = True
            self.lose("was reset")

    def _answer(self, replies):
        """In pieces that end anywhere; a reset on the way back takes some of it."""
        site = self._site
        cut = site.random.randrange(len(replies) + 1) if site.random.random() < 0.2 else len(replies)
        for piece in (replies[:cut], replies[cut:]):
            self._back_free_s = max(self._loop.time() + site.latency_s, self._back_free_s)
            if piece:
                self._on_the_way_back.append(piece)
                self._loop.call_at(self._back_free_s, self._hear)
        if site.random.random() < site.reset_on_answer:
            self._loop.call_later(site.random.uniform(0.0, site.latency_s), self.lose, "was reset")

    def _hear(self):
        piece = self._on_the_way_back.popleft()  # timers of one moment may come in any order, bytes may not
        if not (self._lost or self._abandoned or self._site.silent):
            self._receiver.data_received(piece)
