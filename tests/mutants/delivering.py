"""Mutants of delivery: temp name -> bytes -> close -> checks -> rename -> row and ledger line in one commit -> spool
file unlinked; and of the check after a lost answer."""

from tests.mutants.mutant import Mutant, tests_in

DELIVERY = "unit/iris_communication/delivery"
OUTBOX = "unit/iris_communication/outbox"
SFTP = "unit/iris_communication/sftp"
ATTEMPT = "iris_communication/decisions/attempt.py"
HANDLERS = "iris_communication/outbox/writer/handlers.py"
LOOK = "iris_communication/sftp/conversations/look.py"
PUBLISH = "iris_communication/sftp/conversations/publish.py"
PUT = "iris_communication/sftp/conversations/put.py"
REPLACING = "iris_communication/sftp/conversations/replacing.py"
UPLOAD = "iris_communication/sftp/conversations/upload.py"
COMMITTER = "iris_communication/outbox/writer/committer.py"

DELIVERING = (
    Mutant(
        "the token is handed out before it is stored",
        HANDLERS,
        "        group.then(hand_out, lambda error: claim.reply([]))\n",
        "        hand_out()\n",
        "After a crash nobody knows the temp name of what was being sent: it stays on the server, the file goes twice.",
        tests_in(OUTBOX, "writer/test_writer.py::test_an_item_is_not_handed_out_before_its_token_is_on_the_disk"),
    ),
    Mutant(
        "the token of the last attempt is used again",
        ATTEMPT,
        "    return replace(item, state=state, token=token, earlier_tokens=earlier[-EARLIER_MAX:])\n",
        "    return replace(item, state=state, token=item.token or token, earlier_tokens=earlier[-EARLIER_MAX:])\n",
        "Late writes of a dead session land in the file of the next attempt.",
        tests_in(
            "unit/iris_communication/decisions",
            "test_attempt.py::test_an_attempt_after_one_that_was_cut_off_has_a_token_of_its_own_too",
            "test_attempt.py::test_tokens_of_two_attempts_cut_off_in_a_row_are_both_kept",
        ),
    ),
    Mutant(
        "an attempt that was cut off is forgotten",
        ATTEMPT,
        "    earlier = (*item.earlier_tokens, item.token) if item.effect is Effect.UNSEEN and item.token else ()\n",
        "    earlier: tuple[str, ...] = ()\n",
        "Its temp file stays on the server for ever, and what it had delivered is delivered again.",
        tests_in(
            "unit/iris_communication",
            "decisions/test_attempt.py::test_the_next_attempt_gets_the_token_of_one_that_was_cut_off",
            "outbox/writer/test_writer.py::test_an_attempt_of_unknown_end_is_named_to_the_next_one",
        ),
    ),
    Mutant(
        "the temp file may be somebody else's",
        LOOK,
        "    return WRITE | CREATE if quirks.refuses_exclusive else WRITE | CREATE | EXCLUSIVE\n",
        "    return WRITE | CREATE\n",
        "Two sessions write into one file, and a longer one that was there keeps its end.",
        tests_in(
            SFTP,
            "conversations/test_put.py::test_the_file_is_written_under_a_hidden_name_that_is_asked_for_exclusively",
        ),
    ),
    Mutant(
        "a refused write is not looked at",
        PUT,
        "    for refused in (written, closed, cut_short):\n",
        "    for refused in (closed, cut_short):\n",
        "A file with a hole appears under its final name.",
        tests_in(
            SFTP,
            "conversations/test_put_refusals.py::test_a_refused_write_is_told_where_looking_at_the_size_is_forbidden",
        ),
    ),
    Mutant(
        "the close is not confirmed before the rename",
        PUT,
        "    for refused in (written, closed, cut_short):\n",
        "    for refused in (written, cut_short):\n",
        "What the server could not bring to its disk at the end is missing from a file under its final name.",
        tests_in(
            SFTP, "conversations/test_put_refusals.py::test_a_refusal_leaves_no_file_and_is_known_to_have_had_no_effect"
        ),
    ),
    Mutant(
        "the size is not looked at before the rename",
        PUT,
        "    for refused in (written, closed, cut_short):\n",
        "    for refused in (written, closed):\n",
        "A server that acknowledges what its disk did not take shows half a file as a whole one.",
        tests_in(
            SFTP, "conversations/test_put_refusals.py::test_a_refusal_leaves_no_file_and_is_known_to_have_had_no_effect"
        ),
    ),
    Mutant(
        "every server is taken at its word of what it kept",
        "iris_communication/sftp/capabilities.py",
        "        says_what_it_kept=is_opensshs_own,\n",
        "        says_what_it_kept=True,\n",
        "A server that acknowledges what its disk did not take shows half a file as a whole one.",
        tests_in(
            SFTP, "conversations/test_put_refusals.py::test_a_refusal_leaves_no_file_and_is_known_to_have_had_no_effect"
        ),
    ),
    Mutant(
        "the source is not confirmed before the rename",
        PUT,
        "        upload.confirm_source()\n",
        "        pass\n",
        "A file that somebody went on writing into is delivered as what was accepted.",
        tests_in(SFTP, "conversations/test_put.py::test_a_source_that_changed_is_not_given_its_name"),
    ),
    Mutant(
        "the bytes that were sent are not compared",
        "iris_communication/delivery/source.py",
        "        if self._digest.hexdigest() != self._fingerprint.sha256:\n",
        "        if False:\n",
        "As above: the look is taken, and sees nothing.",
        tests_in(DELIVERY, "test_source.py::test_other_bytes_of_the_same_size_are_not_confirmed"),
    ),
    Mutant(
        "a final name that is taken is overwritten",
        PUBLISH,
        "    if may_replace_unseen(upload, capabilities) and (yield from _is_taken(path, upload)):\n",
        "    if False:\n",
        "Another file on the server, delivered or somebody else's, is gone.",
        tests_in(
            SFTP,
            "conversations/test_put_taken_names.py::test_a_server_that_would_overwrite_is_looked_at_first_unless_looking_is_forbidden",
        ),
    ),
    Mutant(
        "after an unanswered rename the server is not asked",
        PUT,
        "        if not upload.finished:\n",
        "        if True:\n",
        "A file that was delivered and collected is delivered a second time.",
        tests_in(
            SFTP,
            "conversations/test_put_lost_answers.py::test_a_file_collected_before_its_rename_was_answered_is_delivered_and_not_sent_again",
        ),
    ),
    Mutant(
        "after a kill the server is not looked at",
        PUT,
        "    if upload.earlier_temp is not None:\n",
        "    if False:\n",
        "Temp files of killed processes pile up on the server, and one's late rename shows a part of a file.",
        tests_in(
            SFTP, "conversations/test_put_lost_answers.py::test_a_file_that_a_killed_process_had_begun_is_cleared_away"
        ),
    ),
    Mutant(
        "a missing temp file always counts as delivered",
        PUBLISH,
        '        if folder not in upload.missing_folders and not (yield from is_missing(folder or b".")):\n',
        "        if True:\n",
        "A server that comes back with an empty disk is believed to hold the file: it is lost.",
        tests_in(
            SFTP,
            "conversations/test_put_lost_answers.py::test_a_server_that_comes_back_with_an_empty_disk_is_sent_the_file_anew",
        ),
    ),
    Mutant(
        "a folder that a neighbour made again counts as the old one",
        PUT,
        "    upload.missing_folders.add(folder)\n",
        "",
        "A server comes back with an empty disk, gets the folder anew for another file, and is believed: it is lost.",
        tests_in(
            SFTP,
            "conversations/test_put_lost_answers.py::test_a_file_is_sent_anew_too_when_a_neighbour_has_made_the_folder_again_first",
        ),
    ),
    Mutant(
        "a file of the same size counts as ours",
        LOOK,
        "    return not size_bytes or (yield from _sha256(path, size_bytes)) == sha256\n",
        "    return True\n",
        "Something else of that size lies under the name, and the file is recorded as delivered: it is lost.",
        tests_in(
            SFTP,
            "conversations/test_put_lost_answers.py::test_other_content_of_the_same_size_is_not_taken_for_a_file_that_was_never_opened",
        ),
    ),
    Mutant(
        "the temp file of an unanswered rename is removed",
        PUBLISH,
        "    if not upload.finished:\n        yield from discard(upload)\n",
        "    if True:\n        yield from discard(upload)\n",
        "Killed before that is recorded, the next attempt finds it gone and takes it for delivered: it is lost.",
        tests_in(
            SFTP,
            "conversations/test_put_lost_answers.py"
            "::test_a_rename_refused_for_good_after_a_lost_answer_is_begun_anew_and_its_temporary_file_cleared_away",
        ),
    ),
    Mutant(
        "a rename that was sent is not remembered",
        PUBLISH,
        "    upload.rename_sent = True\n    try:\n        if replacing:\n",
        "    try:\n        if replacing:\n",
        "The link dies before the answer, and the next attempt sends a file that was delivered and collected.",
        tests_in(
            SFTP,
            "conversations/test_put_lost_answers.py::test_a_rename_that_was_done_but_not_answered_is_recognised",
            "conversations/test_put_lost_answers.py::test_a_file_collected_before_its_rename_was_answered_is_delivered_and_not_sent_again",
        ),
    ),
    Mutant(
        "what a refused attempt may have left is not told",
        PUT,
        "    return upload.effect\n",
        "    return Effect.NONE\n",
        "The next attempt does not look for the temp file, which stays on the server for ever.",
        tests_in(
            SFTP,
            "conversations/test_put_refusals.py::test_a_refused_file_that_cannot_be_removed_again_is_told_to_the_next_attempt",
        ),
    ),
    Mutant(
        "a file that may not replace another goes beside it",
        UPLOAD,
        '        if self.conflict == "rename":\n',
        "        if True:\n",
        "Who chose fail or keep gets a second file under a name that nobody looks for, and is told that all is well.",
        tests_in(SFTP, "test_conflicts.py::test_a_name_that_is_taken_while_ours_is_sent_stays_as_it_is"),
    ),
    Mutant(
        "a late request to put a file aside is not kept from it",
        REPLACING,
        "        if isinstance(removed, StatusError) and was_whole and not isinstance(taken, StatusError):\n",
        "        if False:\n",
        "Sent to a link that died, it reaches the server after the next attempt, and the delivered file is gone.",
        tests_in(SFTP, "test_conflicts.py::test_a_late_request_to_put_the_old_file_aside_never_takes_the_new_one_away"),
    ),
    Mutant(
        "the old file is not put back",
        REPLACING,
        "            yield (wire.Rename(old, path),)\n        raise\n",
        "            pass\n        raise\n",
        "The new file is refused its name, and there is no file under it any more.",
        tests_in(
            SFTP, "test_conflicts.py::test_a_file_that_was_put_aside_is_put_back_when_the_new_one_cannot_take_its_place"
        ),
    ),
    Mutant(
        "a file counts as delivered without its marker",
        PUT,
        "    if upload.marker:\n        landed = yield from marker.mark(upload, landed, capabilities)\n",
        "",
        "The pick-up job waits for a marker that never comes: the file lies there and nobody takes it.",
        tests_in(SFTP, "conversations/test_marker.py::test_a_file_and_its_marker_arrive_and_nothing_else_is_left"),
    ),
    Mutant(
        "the marker is written under its own name",
        UPLOAD,
        '        return (temp or self.temp_path) + mark + (b"" if path == self.final_path else b"-2")\n',
        "        return self.marker_path(path)\n",
        "The pick-up job is told of a file that is not there yet.",
        tests_in(
            SFTP, "conversations/test_marker.py::test_the_server_shows_no_file_then_the_file_then_both_and_each_whole"
        ),
    ),
    Mutant(
        "a marker is made for a file that has landed long ago",
        PUBLISH,
        "    if upload.finished and upload.marker and (yield from _has_landed(upload)):\n",
        "    if False:\n",
        "File and marker were collected, their answer was lost: a marker without a file is left for the pick-up job.",
        tests_in(SFTP, "conversations/test_marker.py::test_a_link_cut_anywhere_hands_file_and_marker_over_once"),
    ),
    Mutant(
        "the temp file is not beside the final name",
        "iris_communication/delivery/sftp_carrier.py",
        "os.fsencode(folder + slash) + TEMP_PREFIX + token.encode()",
        "TEMP_PREFIX + token.encode()",
        "On a server with several disks the rename becomes a copy, and a reader sees a part of the file.",
        tests_in(
            DELIVERY, "test_sftp_carrier.py::test_the_temp_file_lies_hidden_beside_the_final_name_under_the_items_token"
        ),
    ),
    Mutant(
        "files in place do not take turns",
        "iris_communication/delivery/sftp_carrier.py",
        "            async with self._turns.turn(*_names(attempt, connection)):\n",
        "            if True:\n",
        "One that cannot finish takes away what another of that name was counted as delivered by.",
        tests_in(
            DELIVERY,
            "test_sftp_carrier_settings.py::test_a_file_delivered_in_place_is_not_removed_for_another_file_of_that_name",
        ),
    ),
    Mutant(
        "only names that are spelt the same take turns",
        "iris_communication/naming/same_name.py",
        '    return "/".join(part if part in ("", ".", "..") else part.rstrip(". ") for part in path.split("/"))\n',
        "    return name\n",
        "A server that folds names, and whose RENAME replaces, keeps one of two files that both count as delivered.",
        tests_in(
            DELIVERY,
            "test_names_that_are_one.py::test_files_under_way_together_all_arrive",
            "test_names_that_are_one.py::test_many_spellings_all_arrive",
        ),
    ),
    Mutant(
        "the server is known by the name it was given",
        "iris_communication/delivery/sftp_carrier.py",
        "    machine = connection.host_key or connection.server.key\n",
        "    machine = connection.server.key\n",
        "Of two files that go to one machine under two names of it, one is replaced.",
        tests_in(DELIVERY, "test_names_that_are_one.py::test_a_host_that_is_spelt_in_two_ways_is_one_machine"),
    ),
    Mutant(
        "a part that is written over is emptied first",
        "iris_communication/sftp/conversations/in_place.py",
        "    (opened,) = yield (wire.Open(path, WRITE),)\n",
        "    (opened,) = yield (wire.Open(path, WRITE | CREATE | TRUNCATE),)\n",
        "A dead session's OPEN that is carried out late empties the file the next attempt has delivered.",
        tests_in(
            SFTP,
            "conversations/test_in_place.py::test_a_late_open_of_a_dead_session_empties_no_file_that_was_finished_since",
        ),
    ),
    Mutant(
        "the end of a file that was cut off is not compared",
        "iris_communication/sftp/conversations/parts.py",
        "        for offset, size_bytes in (*self.missing, PartFile(self.size_bytes, 0)):\n",
        "        for offset, size_bytes in self.missing:\n",
        "A server that lost what it had acknowledged last delivers a file whose end is missing or of zeros.",
        tests_in(
            DELIVERY,
            "test_in_parts.py::test_a_tail_that_was_lost_though_every_byte_of_it_was_acknowledged_is_sent_again",
        ),
    ),
    Mutant(
        "the seams that a cut left are never looked at",
        "iris_communication/delivery/in_parts.py",
        "dict.fromkeys([*cut.seams, *seams(cut.missing)])",
        "dict.fromkeys([*seams(cut.missing)])",
        "A server that empties what it opens delivers a file with a hole of the right size.",
        tests_in(DELIVERY, "test_in_parts.py::test_a_seam_that_a_cut_left_is_read_back_by_the_next_attempt"),
    ),
    Mutant(
        "what was claimed and not begun is not given back",
        "iris_communication/delivery/worker.py",
        "            self._outcomes.put_back(destination)\n            if destination",
        "            destination.claimed.clear()\n            if destination",
        "After a stop or a failure of the loop those files wait, in flight, until the program is started again.",
        tests_in(DELIVERY, "test_worker_ending.py::test_claimed_items_that_were_never_begun_are_released_as_untouched"),
    ),
    Mutant(
        "what was broken off counts as untouched",
        "iris_communication/delivery/worker.py",
        '            broken_off = DeliveryStopped(f"{upload.remote_path!r} was cancelled", effect=unclear(upload))\n',
        '            broken_off = DeliveryStopped(f"{upload.remote_path!r} was cancelled", effect=Effect.NONE)\n',
        "The next attempt does not look back: the file goes twice, the temp file stays.",
        tests_in(
            DELIVERY,
            "test_worker_ending.py::test_a_carrier_that_does_not_end_is_cancelled_and_the_effect_of_its_uploads_is_unseen",
        ),
    ),
    Mutant(
        "the spool file goes before its delivery is recorded",
        HANDLERS,
        "        group.settles.append(settle)\n",
        "        group.settles.append(settle)\n"
        "        if settle.event is Event.DELIVER:\n            self._committer.discard(item.id)\n",
        "A disk that refuses the commit leaves an item that waits, without its bytes.",
        tests_in(OUTBOX, "writer/test_groups.py::test_a_delivery_is_row_and_ledger_line_in_one_commit_then_unlink"),
    ),
    Mutant(
        "the ledger line is in another commit than the row",
        "iris_communication/outbox/store/sqlite.py",
        "                    self._db.execute(statement, values)\n",
        "                    self._db.execute(statement, values)\n"
        '                    self._db.execute("COMMIT")\n                    self._db.execute("BEGIN IMMEDIATE")\n',
        "A crash between the two leaves a file of which nothing says whether it was ever accepted.",
        tests_in(OUTBOX, "store/test_sqlite.py::test_a_delivery_that_is_cut_off_anywhere_is_a_row_or_a_ledger_line"),
    ),
    Mutant(
        "a delivery that could not be recorded is forgotten",
        COMMITTER,
        "        self.unrecorded.extend(group.settles)\n",
        "",
        "The item stays in flight until the next start, and no proof of its delivery is ever written.",
        tests_in(OUTBOX, "writer/test_disk_that_refuses.py::test_a_delivery_while_the_disk_refused_is_recorded_later"),
    ),
    Mutant(
        "a ledger line does not hold the one before",
        "iris_communication/outbox/store/ledger.py",
        "hashlib.sha256(previous.encode() + text.encode())",
        "hashlib.sha256(text.encode())",
        "A line that somebody removes is missed by nobody.",
        tests_in(OUTBOX, "store/test_ledger.py::test_a_removed_line_is_found"),
    ),
    Mutant(
        "the ledger's chain goes on from a line that was never written",
        COMMITTER,
        "        self.head, self.counters.store = head, self._store\n",
        "        self.counters.store = self._store\n        self.head = (doubtful and doubtful[0].head) or head\n",
        "After a disk that refused once, the ledger looks as if somebody had changed it.",
        tests_in(OUTBOX, "writer/test_disk_that_refuses.py::test_the_ledgers_chain_is_whole_after_a_disk_that_refused"),
    ),
)
