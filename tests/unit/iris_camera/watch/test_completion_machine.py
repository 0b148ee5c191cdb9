"""Any order of writing, closing, renaming, deleting, losing events and restarting: a complete file is offered, and a
file that is being written is not.

The folder, its writers, the kernel's queue and its clock of coarse ticks are modelled; the decisions are the real ones.
"""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from iris_camera.watch.candidates import Candidates
from iris_camera.watch.completion import Completion, FileState, Notice, Version

QUIET_S = 5.0
TICK_S = 2.0  # of the clock that files are dated by; steps are shorter, so that different bytes get the same date
NAMES = st.sampled_from(["a", "b"])
LOST = object()


@dataclass
class File:
    inode: int
    size_bytes: int = 0
    mtime_ns: int = 0
    content: int = 0  # a number for each content there ever was
    writers: int = 0
    seen_open: bool = False  # events, none of them lost, say that it is being written


@dataclass
class Folder:
    files: dict[str, File] = field(default_factory=dict)
    queue: list = field(default_factory=list)  # events that the watcher has not read yet


class Watching(RuleBasedStateMachine):
    @initialize(leases=st.booleans())
    def begin(self, leases):
        self.leases = leases  # whether the kernel reports writers
        self.folder = Folder()
        self.numbers = iter(range(1, 1_000_000))
        self.now_s = 0.0
        self.remembered = {}
        self.offered = {}  # content by name, the latest
        self.offers = {}  # how often each content was accepted
        self.crashes = 0
        self.start_watching()

    def start_watching(self):
        self.candidates = Candidates(QUIET_S)
        self.folder.queue.clear()
        self.lose_events()
        self.list_all()

    def lose_events(self):
        """Events about every file are lost. Other bytes with the facts that are remembered, written within one tick,
        could then not be noticed by any watcher: the model excludes that."""
        for name, file in self.folder.files.items():
            file.seen_open = False
            if version(file) == self.remembered.get(name) and file.content != self.offered.get(name):
                file.mtime_ns += 1

    def list_all(self):
        for name, file in self.folder.files.items():
            self.candidates.list(name, version(file), self.remembered.get(name), self.now_s)

    def notify(self, name, notice):
        self.folder.queue.append((name, notice))

    def change(self, file, grows):
        file.content = next(self.numbers)
        file.size_bytes += grows
        file.mtime_ns = int(self.now_s // TICK_S)

    # -- what programs do

    @rule(name=NAMES)
    def somebody_opens(self, name):
        if name not in self.folder.files:
            made = File(inode=next(self.numbers))
            self.change(made, 0)
            self.folder.files[name] = made
            self.notify(name, Notice.CREATED)
            self.folder.files[name].seen_open = True
        self.folder.files[name].writers += 1

    @rule(name=NAMES, grows=st.sampled_from([0, 1]))
    def somebody_writes(self, name, grows):
        file = self.folder.files.get(name)
        if file is not None and file.writers:
            self.change(file, grows)
            file.seen_open = True
            self.notify(name, Notice.WRITTEN)

    @rule(name=NAMES)
    def somebody_closes(self, name):
        file = self.folder.files.get(name)
        if file is not None and file.writers:
            file.writers -= 1
            file.seen_open = False
            self.notify(name, Notice.CLOSED)

    @rule(name=NAMES, grows=st.sampled_from([0, 1]))
    def somebody_writes_a_file_whole(self, name, grows):
        self.somebody_opens(name)
        self.somebody_writes(name, grows)
        self.somebody_closes(name)

    @rule(name=NAMES, empty=st.booleans())
    def a_file_is_renamed_into_the_folder(self, name, empty):
        arrived = File(inode=next(self.numbers))
        self.change(arrived, 0 if empty else 1)
        self.folder.files[name] = arrived
        self.notify(name, Notice.ARRIVED)

    @rule(name=NAMES)
    def a_file_is_linked_into_the_folder(self, name):
        if name not in self.folder.files:
            linked = File(inode=next(self.numbers))
            self.change(linked, 1)
            self.folder.files[name] = linked
            self.notify(name, Notice.CREATED)

    @rule(name=NAMES)
    def a_file_is_deleted(self, name):
        if self.folder.files.pop(name, None):
            self.offered.pop(name, None)
            self.notify(name, None)

    # -- what happens to the watcher

    @rule(seconds=st.sampled_from([0.1, 1.0, QUIET_S, 20.0]))
    def time_passes(self, seconds):
        self.now_s += seconds

    @rule()
    def events_are_lost(self):
        self.folder.queue[:] = [LOST]
        self.lose_events()

    @rule()
    def the_watcher_is_killed_and_started_again(self):
        self.start_watching()

    @rule()
    def a_turn_after_which_all_is_still(self):
        self.turn()

    @rule(seconds=st.sampled_from([0.1, QUIET_S]))
    def a_turn_some_time_later(self, seconds):
        self.now_s += seconds
        self.turn()

    @rule()
    def a_turn_while_the_outbox_is_full(self):
        self.turn(full=True)

    @rule()
    def a_turn_that_is_killed_between_accepting_and_remembering(self):
        self.turn(crash=True)

    def turn(self, crash=False, full=False):
        for event in self.folder.queue:
            self.pass_on(event)
        self.folder.queue.clear()
        while (name := self.candidates.due(self.now_s)) is not None:
            if self.look(name) is not Completion.OFFER:
                continue
            if full:
                self.candidates.later(name, self.now_s + 1.0)
                continue
            self.accept(name)
            self.crashes += crash
            if crash:  # after the outbox has accepted, before it was remembered
                self.start_watching()
                return
            self.remembered[name] = version(self.folder.files[name])
            self.candidates.gone(name)

    def pass_on(self, event):
        if event is LOST:
            self.candidates.events_were_lost()
            self.list_all()
            return
        name, notice = event
        if notice is None:
            self.candidates.gone(name)
            self.remembered.pop(name, None)
        else:
            self.candidates.hear(name, notice, self.now_s)

    def look(self, name):
        file = self.folder.files.get(name)
        look = None
        if file is not None:
            look = FileState(version(file), file.writers > 0 if self.leases else None)
        verdict = self.candidates.judge(name, look, self.remembered.get(name), self.now_s)
        if verdict is Completion.OFFER:
            assert not (self.leases and file.writers), "a file is offered that the kernel knows to be open"
            assert not (file.seen_open and file.writers), "a file is offered that is being written, by the events"
        return verdict

    def accept(self, name):
        content = self.folder.files[name].content
        self.offered[name] = content
        self.offers[content] = self.offers.get(content, 0) + 1

    @invariant()
    def a_content_is_accepted_once_unless_the_watcher_was_killed_in_between(self):
        if hasattr(self, "folder"):
            assert sum(self.offers.values()) - len(self.offers) <= self.crashes

    def teardown(self):
        if not hasattr(self, "folder"):
            return
        for name, file in self.folder.files.items():
            while file.writers:
                file.writers -= 1
                self.notify(name, Notice.CLOSED)
        for _ in range(4):
            self.turn()
            self.now_s += QUIET_S + 0.1
        for name, file in self.folder.files.items():
            assert self.offered.get(name) == file.content, f"{name} as it is at the end was never offered"


def version(file):
    return Version(file.inode, file.size_bytes, file.mtime_ns)


TestWatching = Watching.TestCase
TestWatching.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
