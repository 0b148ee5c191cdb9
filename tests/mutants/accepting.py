"""Mutants of acceptance: bytes durable -> row committed -> a moved source unlinked -> the caller answered."""

from tests.mutants.mutant import Mutant, tests_in

OUTBOX = "unit/iris_communication/outbox"
COMMITTER = "iris_communication/outbox/writer/committer.py"
FILE_LOCK = "iris_communication/outbox/files/file_lock.py"
PRIVATE = "iris_communication/outbox/files/private.py"
SAFE_FILES = "iris_communication/runtime/safe_files.py"
SPOOL = "iris_communication/outbox/files/spool.py"
SQLITE = "iris_communication/outbox/store/sqlite.py"

ACCEPTING = (
    Mutant(
        "a copy in the spool is not synced",
        SPOOL,
        "        os.fdatasync(copy)\n",
        "",
        "A power cut leaves an accepted file empty; its source may be gone by then.",
        tests_in(
            OUTBOX,
            "files/spool/test_trouble.py::test_a_copy_is_synced_once_its_last_byte_is_written_and_before_it_is_closed",
        ),
    ),
    Mutant(
        "a link in the spool is not synced",
        SPOOL,
        "        os.fdatasync(source.descriptor)\n",
        "",
        "A power cut leaves a file that was handed over for good empty, and its other name is unlinked.",
        tests_in(
            OUTBOX,
            "writer/test_groups.py::test_an_acceptance_is_bytes_then_row_then_unlink_then_answer",
            "files/spool/test_trouble.py::test_a_linked_file_that_cannot_be_synced_leaves_nothing_behind",
        ),
    ),
    Mutant(
        "a disk that takes a part of a write is believed",
        SPOOL,
        "            while view:\n                view = view[os.write(copy, view) :]\n",
        "            os.write(copy, view)\n",
        "The copy in the spool lacks its end, and it is the copy that is delivered.",
        tests_in(OUTBOX, "files/spool/test_trouble.py::test_a_disk_that_writes_less_than_asked_is_asked_again"),
    ),
    Mutant(
        "the spool's folder is not synced",
        COMMITTER,
        "                self._spool.sync()\n",
        "                pass\n",
        "A power cut takes the file's name out of the spool while its row says that it is accepted.",
        tests_in(OUTBOX, "writer/test_groups.py::test_an_acceptance_is_bytes_then_row_then_unlink_then_answer"),
    ),
    Mutant(
        "the spool's folder is synced after the row",
        COMMITTER,
        "                self._store.commit(changes)\n",
        "                self._store.commit(changes)\n            if group.spooled:\n"
        "                self._spool.sync()\n",
        "As above, in the moment between; and a folder that cannot be synced refuses what is committed already.",
        tests_in(OUTBOX, "writer/test_groups.py::test_an_acceptance_is_bytes_then_row_then_unlink_then_answer"),
    ),
    Mutant(
        "a folder that cannot be synced is believed",
        SPOOL,
        '        with self._errors(f"sync the spool {self._folder}"):\n',
        "        with contextlib.suppress(OSError):\n",
        "The disk said that the name is not safe, and the caller is told that the file is accepted.",
        tests_in(OUTBOX, "files/spool/test_trouble.py::test_a_folder_that_cannot_be_synced_is_our_disks_fault"),
    ),
    Mutant(
        "a commit may be lost by a power cut",
        SQLITE,
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = NORMAL",
        "The last acceptances and deliveries before a power cut are forgotten.",
        tests_in(OUTBOX, "store/test_sqlite.py::test_a_commit_is_durable_by_the_strictest_setting"),
    ),
    Mutant(
        "the content of a file stays behind",
        "iris_communication/outbox/store/statements.py",
        "((*row.inserted(change.item), change.content) for change in inserts)",
        "((*row.inserted(change.item), None) for change in inserts)",
        "A small file was accepted and its source is unlinked, and nothing holds its bytes.",
        tests_in(OUTBOX, "writer/test_held_bytes.py::test_an_outbox_that_starts_again_hands_out_the_content"),
    ),
    Mutant(
        "a commit carries a checkpoint",
        SQLITE,
        "PRAGMA wal_autocheckpoint = 0;",
        "PRAGMA wal_autocheckpoint = 1000;",
        "A caller waits for the log to be written into the database.",
        tests_in(OUTBOX, "store/test_file_size.py::test_no_commit_carries_a_checkpoint"),
    ),
    Mutant(
        "the caller is answered before the commit",
        COMMITTER,
        "            if changes := group.changes:\n                self._store.commit(changes)\n",
        "            if changes := group.changes:\n"
        "                for done in group.done:\n                    done()\n"
        "                self._store.commit(changes)\n",
        "The caller deletes a file that nothing on the disk knows of yet.",
        tests_in(
            OUTBOX,
            "writer/test_groups.py::test_a_caller_is_not_answered_before_the_row_is_on_the_disk",
            "writer/test_disk_that_refuses.py::test_a_commit_that_fails_refuses_the_acceptance_and_nothing_changes",
        ),
    ),
    Mutant(
        "a moved source is unlinked before the commit",
        COMMITTER,
        "            if changes := group.changes:\n                self._store.commit(changes)\n",
        "            if changes := group.changes:\n                for item in group.accepted:\n"
        "                    if item.take is Take.MOVE:\n                        _unlink_source(item)\n"
        "                self._store.commit(changes)\n",
        "A crash then leaves no row: the source is gone, and its bytes with it.",
        tests_in(
            OUTBOX,
            "writer/test_groups.py::test_a_moved_source_is_still_there_while_its_row_is_committed",
            "writer/test_groups.py::test_an_acceptance_is_bytes_then_row_then_unlink_then_answer",
        ),
    ),
    Mutant(
        "the source of a refused caller is unlinked",
        COMMITTER,
        "            if item.take is Take.MOVE and group.awaited:\n",
        "            if item.take is Take.MOVE:\n",
        "The caller was told that the file stays with it, and looks for it in vain.",
        tests_in(
            OUTBOX,
            "writer/test_disk_that_refuses.py::test_a_doubtful_commit_is_judged_once_the_store_can_be_opened_again",
        ),
    ),
    Mutant(
        "a commit whose answer was lost counts as refused",
        COMMITTER,
        "        happened = doubtful is not None and self._happened(doubtful[0])\n",
        "        happened = False\n",
        "The spool file of an item that is on record is thrown away: at the next start it is dead.",
        tests_in(
            OUTBOX,
            "writer/test_disk_that_refuses.py::test_an_acceptance_whose_commit_lost_its_answer_is_believed_from_the_store",
            "writer/test_disk_that_refuses.py::test_a_doubtful_commit_is_judged_once_the_store_can_be_opened_again",
        ),
    ),
    Mutant(
        "a full disk is filled to its last byte",
        "iris_communication/outbox/writer/accepting.py",
        "        if not self._has_room():\n",
        "        if False:\n",
        "New files take the room that was given back for recording deliveries: nothing is ever freed again.",
        tests_in(
            OUTBOX,
            "writer/test_full_disk.py::test_a_commit_that_fails_gives_the_reserve_back_so_that_deliveries_make_room",
        ),
    ),
    Mutant(
        "the reserve is only promised",
        "iris_communication/outbox/files/reserve.py",
        "                os.posix_fallocate(descriptor, 0, size_bytes)\n",
        "                os.ftruncate(descriptor, size_bytes)\n",
        "A sparse file holds no room: on a full disk there is nothing to give back.",
        tests_in(OUTBOX, "files/test_reserve.py::test_room_is_really_taken_not_only_promised"),
    ),
    Mutant(
        "a full disk keeps its reserve",
        COMMITTER,
        "        self._broken, self._doubtful = True, (group, error)\n        self._reserve.give_back()\n",
        "        self._broken, self._doubtful = True, (group, error)\n",
        "No delivery can be recorded any more, so none is made, so nothing is ever freed.",
        tests_in(
            OUTBOX,
            "writer/test_full_disk.py::test_a_commit_that_fails_gives_the_reserve_back_so_that_deliveries_make_room",
        ),
    ),
    Mutant(
        "two processes share an outbox",
        FILE_LOCK,
        "            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "            pass\n",
        "Where there are no better locks, the second one sweeps what the first has not committed yet.",
        tests_in(OUTBOX, "files/test_file_lock.py::test_the_file_is_locked_where_such_locks_are_unknown_too"),
    ),
    Mutant(
        "the owner's lock falls with any descriptor",
        FILE_LOCK,
        "fcntl.fcntl(self.descriptor, fcntl.F_OFD_SETLK, asked)",
        "fcntl.fcntl(self.descriptor, fcntl.F_SETLK, asked)",
        "A backup by the owning process makes a second process owner, which sweeps the first one's files.",
        tests_in(
            OUTBOX,
            "test_ownership.py::test_a_second_owner_is_refused_whatever_the_first_ones_process_does_with_the_folder",
        ),
    ),
    Mutant(
        "a forked child keeps the lock",
        FILE_LOCK,
        "os.register_at_fork(after_in_child=_close_in_child)\n",
        "",
        "The outbox of a process that was killed cannot be owned while one of its children lives.",
        tests_in(OUTBOX, "test_ownership.py::test_a_child_that_outlives_its_parent_does_not_hold_the_outbox"),
    ),
    Mutant(
        "ownership is not looked at again",
        COMMITTER,
        "            if group.changes:\n                self._confirm()\n",
        "",
        "Two processes write one outbox once somebody has removed the lock file.",
        tests_in(
            OUTBOX,
            "test_ownership.py::test_no_file_is_accepted_or_handed_out_once_another_process_has_the_outbox",
        ),
    ),
    Mutant(
        "the log is not guarded",
        SQLITE,
        "                    guard.hold()\n",
        "                    pass\n",
        "Who closes the database from outside removes the log that accepted files are written into.",
        tests_in(
            OUTBOX,
            "test_ownership.py::test_the_log_keeps_its_name_when_others_close_the_database_last",
        ),
    ),
    Mutant(
        "a log without a name is written into",
        SQLITE,
        "        self._keep_in_place()  # before anybody is told\n",
        "",
        "What was accepted is gone with the process.",
        tests_in(
            OUTBOX,
            "test_ownership.py::test_files_that_lost_their_names_are_put_back_before_a_caller_is_answered",
        ),
    ),
    Mutant(
        "a damaged database is used",
        SQLITE,
        '        if found != "ok":\n',
        "        if False:\n",
        "Damage spreads through what could still have been read.",
        tests_in(
            OUTBOX, "store/test_sqlite.py::test_damage_where_nobody_looks_is_found_when_it_is_opened_and_left_alone"
        ),
    ),
    Mutant(
        "secrets keep the mode that the umask gives them",
        SAFE_FILES,
        "            os.fchmod(descriptor, FILE_MODE)\n",
        "            pass\n",
        "A service's own files cannot be read by it after its next start.",
        tests_in(OUTBOX, "files/test_private.py::test_everything_in_an_outbox_is_its_owners_alone_whatever_the_umask"),
    ),
    Mutant(
        "a link is followed",
        SAFE_FILES,
        "_NO_FOLLOW = os.O_NOFOLLOW | ",
        "_NO_FOLLOW = ",
        "Passwords are written into a file of another user's choice, and files are read that this user alone may read.",
        (
            "tests/unit/iris_communication/runtime/test_safe_files.py::test_a_link_is_refused_and_what_it_leads_to_is_untouched",
            "tests/unit/iris_camera/watch/test_opening.py::test_an_examination_follows_no_link",
        ),
    ),
    Mutant(
        "a left-over file is written on",
        SAFE_FILES,
        "        os.unlink(temporary)  # of a crash, with any mode; or a link, which is not written through\n",
        "        pass\n",
        "A crash in the middle of a write keeps the next password from being stored.",
        tests_in(OUTBOX, "files/test_servers.py::test_a_link_in_the_place_of_a_new_record_is_not_written_through"),
    ),
    Mutant(
        "another user's folder is taken",
        PRIVATE,
        '    if facts.st_uid != os.geteuid():\n        raise _of_another_user("the outbox", folder, facts.st_uid)\n',
        "",
        "What root's command line leaves behind keeps the service from its own files.",
        tests_in(OUTBOX, "files/test_private.py::test_a_folder_of_another_user_is_refused_with_the_command"),
    ),
    Mutant(
        "a folder that others may write into is taken",
        PRIVATE,
        "    if facts.st_mode & _OTHERS_WRITE:\n",
        "    if False:\n",
        "A link made beforehand has root write passwords into a file of another user's choice.",
        tests_in(OUTBOX, "files/test_private.py::test_a_folder_that_others_may_write_into_is_refused_with_the_mend"),
    ),
    Mutant(
        "what cannot be read now is taken for damaged",
        "iris_communication/outbox/files/servers.py",
        "    except OSError as error:\n        hint",
        "    except UnicodeError as error:\n        hint",
        "Everything that is owed waits for ever for a password that lies in a file put aside.",
        tests_in(
            OUTBOX, "files/test_servers.py::test_a_record_that_cannot_be_read_now_is_not_damaged_and_stays_where_it_is"
        ),
    ),
    Mutant(
        "the servers' record takes its name before it is synced",
        SAFE_FILES,
        "            os.fsync(descriptor)\n",
        "",
        "A power cut leaves an empty file under the old one's name: the passwords of all servers are gone.",
        tests_in(
            OUTBOX, "files/test_servers.py::test_a_record_is_synced_before_it_takes_its_name_and_its_folder_after"
        ),
    ),
    Mutant(
        "the folder of the servers' record is not synced",
        SAFE_FILES,
        "    sync_folder(path.parent)\n",
        "",
        "After a power cut items are on record whose server's password is not: they wait for the operator.",
        tests_in(
            OUTBOX, "files/test_servers.py::test_a_record_is_synced_before_it_takes_its_name_and_its_folder_after"
        ),
    ),
)
