"""One file that is owed, attempt after attempt: the item's real rules about tokens and effects, and an upload made of
it as the pool makes it, without a loop, a disk or a thread, so that thousands of attempts take a second."""

import contextlib
import hashlib
import itertools
import os
import posixpath

from iris_communication.decisions.attempt import claimed, failed, released
from iris_communication.decisions.retry import Retrying, after_failure
from iris_communication.errors import Effect, IrisError, Scope
from iris_communication.item import Event
from iris_communication.sftp.conversations.put import after_clearing, put
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.testing.store_contract import make_item
from tests.memory_link import BytesSource

TOKENS = itertools.count(1)
RETRYING = Retrying(attempts_max=1000, base_s=1.0, cap_s=1.0)


class Owed:
    def __init__(self, content=b"id,label\n1,good\n", final_path=b"/in/a.csv", conflict="rename", marker=""):
        self.content = content
        self.final_path = final_path
        self.item = make_item(1, remote_path=os.fsdecode(final_path))
        self.conflict, self.marker = conflict, marker
        self.landed = None  # where it lies, once it is delivered
        self.error = None  # of the latest attempt
        self.changed = False  # the source is found to be changed
        self.missing_folders = set()  # of the connection that the next attempt uses

    @property
    def effect(self):
        return self.item.effect

    def claim(self):
        """The upload of the next attempt."""
        self.item = claimed(self.item, f"{next(TOKENS):016x}")
        self.source = source = BytesSource(self.content, changed=self.changed)
        tokens = self.item.earlier_tokens
        return SftpUpload(
            final_path=self.final_path,
            temp_path=self.temp_path(self.item.token),
            size_bytes=len(self.content),
            sha256=hashlib.sha256(self.content).hexdigest(),
            confirm_source=source.confirm,
            conflict=self.conflict,
            marker=self.marker,
            finished=self.item.effect is Effect.UNKNOWN,
            earlier_temp=self.temp_path(tokens[-1]) if tokens else None,
            missing_folders=self.missing_folders,
        )

    def begin(self, link):
        """Start an attempt on a link that is open; `settle` takes what comes of it."""
        upload = self.claim()
        return upload, self.begin_upload(upload, link)

    def attempt(self, link):
        """One whole attempt, the greeting included; whether it delivered."""
        upload = self.claim()
        try:
            link.open()
        except IrisError as error:
            self.error, self.item = error, released(self.item, error, Effect.NONE)
            return False
        conversation = self.begin_upload(upload, link)
        link.run()
        return self.settle(upload, conversation)

    def settle(self, upload, conversation):
        self.error = error = conversation.error
        if error is None:
            self.landed = conversation.result
            return True
        effect = upload.effect if error.scope in (Scope.LINK, Scope.SERVER) else error.effect
        event = after_failure(error, self.item.attempts, RETRYING, 0.0).event
        if event is Event.RELEASE:
            self.item = released(self.item, error, effect)
        else:
            self.item = failed(self.item, Event.FAIL, error, effect, None)  # given up: the operator retries it
        return False

    def dies_during(self, link):
        """An attempt in whose midst our process is killed."""
        upload = self.claim()
        with contextlib.suppress(IrisError):
            link.open()
            self.begin_upload(upload, link)
            link.run()
        self.process_dies()

    def process_dies(self):
        """What the next start makes of an item that was in flight."""
        known = Effect.UNKNOWN if self.effect is Effect.UNKNOWN else Effect.UNSEEN
        self.landed, self.item = None, released(self.item, None, known)

    def temp_path(self, token):
        return posixpath.join(posixpath.dirname(self.final_path), b".iris-" + token.encode())

    def begin_upload(self, upload, link):
        """Start the attempt of an upload that was claimed before."""
        *older, _ = self.item.earlier_tokens or [None]
        temps = [self.temp_path(token) for token in older]
        talk = after_clearing(upload, temps, link.capabilities, put(upload, link.capabilities))
        return link.begin(talk, self.source)
