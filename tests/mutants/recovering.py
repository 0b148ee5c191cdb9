"""Mutants of recovery, and of the records that a camera leaves on the disk."""

from tests.mutants.mutant import Mutant, tests_in

OUTBOX = "unit/iris_communication/outbox"
RECORDS = "unit/iris_camera/records"
LOG_FRAMES = "iris_communication/outbox/recovery/log_frames.py"
RECOVERY = "iris_communication/outbox/recovery/recovery.py"

RECOVERING = (
    Mutant(
        "what was in flight stays in flight",
        RECOVERY,
        "        if item.state is State.IN_FLIGHT:\n",
        "        if False:\n",
        "What was under way at a crash is never sent.",
        tests_in(
            OUTBOX, "recovery/test_recovery.py::test_an_item_in_flight_waits_again_and_its_next_attempt_looks_back"
        ),
    ),
    Mutant(
        "what was in flight counts as untouched",
        RECOVERY,
        "effect=unclear(item))",
        "effect=item.effect)",
        "The next attempt does not look back: the file goes twice, the temp file stays.",
        tests_in(
            OUTBOX, "recovery/test_recovery.py::test_an_item_in_flight_waits_again_and_its_next_attempt_looks_back"
        ),
    ),
    Mutant(
        "the spool files of waiting items are swept",
        RECOVERY,
        "        held = sizes.pop(item.id, None)\n",
        "        held = sizes.get(item.id)\n",
        "Everything that waits is lost at the next start.",
        tests_in(OUTBOX, "recovery/test_recovery.py::test_a_waiting_item_goes_on_waiting_untouched"),
    ),
    Mutant(
        "a torn tail of the log is taken for damage",
        LOG_FRAMES,
        "is_sound=commits_behind <= 1 and",
        "is_sound=commits_behind < 1 and",
        "After a power cut what was never accepted is told as lost, and lies in the quarantine.",
        tests_in(OUTBOX, "recovery/test_damaged_log.py::test_a_tail_that_a_power_cut_tore_was_promised_to_nobody"),
    ),
    Mutant(
        "a last commit that cannot be read is taken for a torn one",
        LOG_FRAMES,
        " and acknowledged <= readable)",
        ")",
        "The bytes of an accepted file are swept, because its row is lost.",
        tests_in(
            OUTBOX, "recovery/test_damaged_log.py::test_a_last_commit_that_was_answered_and_cannot_be_read_is_damage"
        ),
    ),
    Mutant(
        "an older database is taken for the latest",
        "iris_communication/outbox/writer/opening.py",
        "        if not notice and owner.last_sequence > known:\n",
        "        if False:\n",
        "What was accepted since the backup is swept.",
        tests_in(
            OUTBOX,
            "test_ownership.py::test_an_older_database_that_was_put_back_alone_costs_what_it_does_not_hold_and_is_reported",
        ),
    ),
    Mutant(
        "the spool files of dead items are swept",
        RECOVERY,
        "        if store.state(item_id) == State.DEAD.value:\n",
        "        if False:\n",
        "What was given up can never be sent again, whatever the operator mends.",
        tests_in(OUTBOX, "recovery/test_recovery.py::test_bytes_of_a_dead_item_are_kept_so_that_it_can_be_sent_again"),
    ),
    Mutant(
        "spool files of nobody stay",
        RECOVERY,
        "            _sweep(spool, item_id)\n",
        "            pass\n",
        "Each crash leaves files that no row knows, until the disk is full.",
        tests_in(OUTBOX, "recovery/test_recovery.py::test_bytes_without_a_row_were_never_accepted_and_are_removed"),
    ),
    Mutant(
        "a torn spool file is believed",
        RECOVERY,
        "        if held != fingerprint.size_bytes:\n",
        "        if held is None:\n",
        "The source of a file whose copy is cut short is unlinked: the whole one is gone, the half one is sent.",
        tests_in(OUTBOX, "recovery/test_recovery.py::test_an_item_whose_bytes_are_cut_short_is_dead"),
    ),
    Mutant(
        "recovery unlinks whatever has the source's name now",
        RECOVERY,
        "        if item.take is Take.MOVE and still_is(item.source_path, fingerprint):\n",
        "        if item.take is Take.MOVE:\n",
        "The next file of that name, not accepted yet, is thrown away.",
        tests_in(OUTBOX, "recovery/test_recovery.py::test_another_file_that_took_the_sources_name_since_is_left_alone"),
    ),
    Mutant(
        "a damaged content is sent",
        "iris_communication/outbox/recovery/contents.py",
        "        if content is not None and hashlib.sha256(content).hexdigest() == sha256:\n",
        "        if content is not None and (hashlib, sha256):\n",
        "After a salvage a file waits whose bytes are not those that were accepted.",
        tests_in(OUTBOX, "recovery/test_damaged_contents.py::test_an_item_whose_content_is_lost_is_dead_and_says_so"),
    ),
    Mutant(
        "a content without an item is thrown away",
        "iris_communication/outbox/recovery/contents.py",
        "        if sequence not in ended:\n",
        "        if sequence < 0 and ended:\n",
        "A damaged page takes an item's row, and the salvage its bytes.",
        tests_in(
            OUTBOX,
            "recovery/test_damaged_contents.py::test_a_content_whose_item_is_lost_becomes_a_file_in_the_quarantine",
        ),
    ),
    Mutant(
        "a source that is to go is not noted",
        "iris_communication/outbox/store/statements.py",
        "for each in delivered if each.item.after is not After.KEEP)",
        "for each in delivered if each.item.after is None)",
        "Killed between the ledger line and the source, the delivered source stays for ever.",
        tests_in(
            OUTBOX,
            "writer/test_destinations.py::test_a_crash_between_the_ledger_and_the_source_is_made_good_at_the_next_start",
        ),
    ),
    Mutant(
        "a file is known by its size alone",
        "iris_communication/outbox/files/spool.py",
        "    return _identity(facts) == taken\n",
        "    return facts.st_size == fingerprint.size_bytes\n",
        "As above, for a next file of the same size.",
        tests_in(
            OUTBOX,
            "files/spool/test_handing_out.py::test_a_source_that_was_replaced_is_not_what_was_accepted",
            "recovery/test_recovery.py::test_another_file_of_the_same_size_that_took_the_sources_name_is_left_alone",
        ),
    ),
    Mutant(
        "recovery unlinks what was only copied",
        RECOVERY,
        "        if item.take is Take.MOVE and still_is(item.source_path, fingerprint):\n",
        "        if still_is(item.source_path, fingerprint):\n",
        "The caller's own files disappear after a crash.",
        tests_in(OUTBOX, "recovery/test_recovery.py::test_a_source_that_was_only_copied_is_left_alone"),
    ),
    Mutant(
        "a time of another boot is believed",
        "iris_communication/outbox/store/sqlite.py",
        '        self._db.execute(QUERIES["forget_due_of_other_boots"], (boot_id, boot_id))\n',
        "",
        "After a reboot a retry waits as long as the machine had been running before, perhaps for months.",
        tests_in(OUTBOX, "store/test_sqlite.py::test_a_retry_is_due_at_once_after_a_reboot"),
    ),
    Mutant(
        "a record file is named before it is closed",
        "iris_camera/records/recorder.py",
        "        self._close()\n        ready.mkdir(parents=True, exist_ok=True)\n"
        "        target = ready / self.path.name\n        self.path.rename(target)\n        return target\n",
        "        ready.mkdir(parents=True, exist_ok=True)\n"
        "        target = ready / self.path.name\n        self.path.rename(target)\n        self._close()\n"
        "        return target\n",
        "A file lies among the finished ones that is still held open and locked: whoever clears up leaves it alone.",
        tests_in(
            RECORDS, "test_order_of_steps.py::test_a_record_file_is_closed_before_it_lies_among_the_finished_ones"
        ),
    ),
    Mutant(
        "a record file that the outbox refuses is forgotten",
        "iris_camera/controllers/handing_over.py",
        "        return gone + accepted\n",
        "        return gone + there\n",
        "With a full outbox, finished files stay behind until the program is started again, and nobody is told.",
        tests_in(
            "unit/iris_camera/controllers",
            "handing_over/test_record_files.py::test_a_refused_file_is_offered_again_before_later_ones_after_a_pause",
        ),
    ),
    Mutant(
        "kept files that are not delivered are removed",
        "iris_camera/records/retention.py",
        "        if file.path.name in owed:\n",
        "        if False:\n",
        "The operator counts on the copy of a file that waits, and it is gone first.",
        tests_in(RECORDS, "test_kept_files.py::test_a_file_that_the_outbox_owes_stays"),
    ),
    Mutant(
        "half a row stays behind the rows",
        "iris_camera/records/recorder.py",
        "            os.ftruncate(descriptor, self.size_bytes)\n",
        "            pass\n",
        "The next rows are written behind half a row, and all of them are worth nothing.",
        tests_in(
            RECORDS,
            "test_recorder.py::test_rows_that_find_the_disk_full_are_lost_and_counted_and_no_half_row_stays",
        ),
    ),
    Mutant(
        "a torn row is delivered",
        "iris_camera/records/leftovers.py",
        "            file.truncate(finished.size_bytes)\n",
        "            pass\n",
        "A file with half a row, or with zero bytes, reaches the server as a whole one.",
        tests_in(RECORDS, "test_leftovers.py::test_a_torn_end_is_cut_off_and_reported"),
    ),
    Mutant(
        "a picture is written where finished ones lie",
        "iris_camera/records/evidence.py",
        "    path, target = folder / OPEN_FOLDER / name, folder / READY_FOLDER / name\n",
        "    path, target = folder / READY_FOLDER / name, folder / READY_FOLDER / name\n",
        "Whoever looks into the folder meanwhile takes a part of a picture for a whole one.",
        tests_in(RECORDS, "test_order_of_steps.py::test_a_picture_lies_among_the_finished_ones_only_once_it_is_whole"),
    ),
    Mutant(
        "a picture with a hole is believed",
        "iris_camera/records/evidence.py",
        " and bytes(_LOST_BYTES) not in data\n",
        "\n",
        "After a power cut a picture that shows nothing is delivered as evidence.",
        tests_in(RECORDS, "test_evidence.py::test_a_picture_with_a_hole_is_not_believed_though_it_ends_well"),
    ),
)
