"""Mutants of decisions: which item goes first, gives way or expires, what becomes of the source, what is kept of a
server over a restart."""

from tests.mutants.mutant import Mutant, tests_in

OUTBOX = "unit/iris_communication/outbox"
DELIVERY = "unit/iris_communication/delivery"
HANDLERS = "iris_communication/outbox/writer/handlers.py"
SOURCE_ACTION = "iris_communication/outbox/recovery/source_action.py"
WORKER = "iris_communication/delivery/worker.py"

DECIDING = (
    Mutant(
        "what has expired is sent",
        HANDLERS,
        "        self.expire(group)\n",
        "",
        "Somebody downstream acts on a result that came too late to be true.",
        tests_in(
            OUTBOX, "writer/test_ends.py::test_an_item_that_waits_beyond_its_time_expires_and_is_never_handed_out"
        ),
    ),
    Mutant(
        "a time to live is measured by the wall clock",
        "iris_communication/outbox/writer/accepting.py",
        "self._clock.boot_s() + accept.ttl_s",
        "self._clock.wall_s() + accept.ttl_s",
        "A clock that is set right by a month gives up everything that waits, or nothing ever.",
        tests_in(OUTBOX, "writer/test_ends.py::test_a_wall_clock_that_jumps_expires_nothing_and_keeps_nothing"),
    ),
    Mutant(
        "what is dropped leaves no trace",
        "iris_communication/outbox/store/statements.py",
        "(row.ended(change.item, change.note.at_s, change.reason) for change in ended)",
        "()",
        "A file is gone, and no number, list or story says so: peers lose silently here.",
        tests_in(OUTBOX, "writer/test_ends.py::test_a_waiting_item_is_given_up_on_a_persons_word"),
    ),
    Mutant(
        "what gives way loses its bytes before the newcomer is on record",
        "iris_communication/outbox/writer/accepting.py",
        '            group.add(ended(item, Event.DROP, self._clock.wall_s(), "it gave way in a full outbox"))\n',
        '            group.add(ended(item, Event.DROP, self._clock.wall_s(), "it gave way in a full outbox"))\n'
        "            self._committer.discard(item.id)\n",
        "The disk refuses the commit: the newcomer is refused, and the older file is lost all the same.",
        tests_in(OUTBOX, "writer/test_limits.py::test_a_commit_that_fails_drops_nothing"),
    ),
    Mutant(
        "what is more urgent gives way",
        "iris_communication/decisions/admission.py",
        "        if item.state is State.WAITING and item.priority <= priority and (items > 0 or held > 0):\n",
        "        if item.state is State.WAITING and (items > 0 or held > 0):\n",
        "A full outbox throws evidence of defects away for routine records.",
        tests_in(OUTBOX, "writer/test_limits.py::test_more_urgent_items_do_not_give_way"),
    ),
    Mutant(
        "a priority counts for nothing",
        "iris_communication/decisions/fair_share.py",
        "        backlog = waiting[0]\n",
        "        backlog = waiting[-1]\n",
        "Evidence waits behind a day of records, and goes last.",
        tests_in(
            OUTBOX,
            "writer/test_next_up.py::test_a_higher_priority_goes_first_and_within_one_the_order_is_that_of_acceptance",
        ),
    ),
    Mutant(
        "lower priorities get no share",
        "iris_communication/decisions/fair_share.py",
        "            if is_lower:\n",
        "            if False:\n",
        "While evidence flows, records wait for ever.",
        tests_in(
            OUTBOX,
            "writer/test_next_up.py::test_lower_priorities_keep_their_share_also_where_one_is_asked_for_at_a_time",
        ),
    ),
    Mutant(
        "a source that is another file by now is deleted",
        SOURCE_ACTION,
        "is_still = unchanged(opened) if unchanged else",
        "is_still = True or",
        "Somebody's newer work under the same name is gone, and was never queued.",
        tests_in(OUTBOX, "writer/test_destinations.py::test_a_source_that_is_another_file_by_now_is_left_alone"),
    ),
    Mutant(
        "a source goes while one of its destinations has not got it",
        SOURCE_ACTION,
        "        if state != State.DELIVERED.value:\n",
        "        if False:\n",
        "What was dropped for one server cannot be queued for it again.",
        tests_in(OUTBOX, "writer/test_destinations.py::test_a_source_stays_while_one_of_its_destinations_never_got_it"),
    ),
    Mutant(
        "a moved source replaces what is there",
        SOURCE_ACTION,
        "                os.link(opened, target, src_dir_fd=start, follow_symlinks=True)\n",
        "                shutil.copy2(opened, target)\n",
        "Of two files of one name in two folders the first one's copy is gone.",
        tests_in(OUTBOX, "writer/test_destinations.py::test_a_delivered_source_is_moved_and_never_over_another_file"),
    ),
    Mutant(
        "what a crash kept from being done to a source is forgotten",
        "iris_communication/outbox/recovery/recovery.py",
        "    treat_sources(store)\n",
        "",
        "Each crash leaves delivered sources behind; a disk that relied on their going fills up.",
        tests_in(
            OUTBOX,
            "writer/test_destinations.py::test_a_crash_between_the_ledger_and_the_source_is_made_good_at_the_next_start",
        ),
    ),
    Mutant(
        "a breaker is forgotten at the end of its process",
        "iris_communication/delivery/outcomes.py",
        "        self._writer.keep_breaker(key, breaking.kept(breaker, self._clock.monotonic_s(), boot) or None)\n",
        "        del boot\n",
        "A program that crashes and starts again logs in each time, until the account or the address is banned.",
        tests_in(
            DELIVERY,
            "test_worker_over_restarts.py::test_a_refused_login_waits_for_a_person_over_any_number_of_restarts",
            "test_worker_over_restarts.py::"
            "test_a_server_that_was_down_is_asked_by_the_next_process_no_sooner_than_by_this_one",
        ),
    ),
    Mutant(
        "a connection that is being made leaves no trace",
        WORKER,
        "        self._outcomes.set_breaker("
        "key, destination, breaking.on_start(destination.breaker, now_s, connects=connects))\n",
        "        self._outcomes.set_breaker(key, destination, breaking.on_start(destination.breaker, now_s))\n",
        "A program that dies while it logs in does so again at once, as often as it is started.",
        tests_in(
            DELIVERY,
            "test_worker_over_restarts.py::test_a_process_that_dies_while_it_connects_is_remembered_to_have_connected",
        ),
    ),
    Mutant(
        "the same facts said again release what waits for a person",
        HANDLERS,
        "        if self._servers.knows(server, secret):\n",
        "        if False:\n",
        "A wrong password is tried at every start, because every start says it again.",
        tests_in("unit/iris_communication/server", "test_facts.py::test_facts_that_are_known_already_release_nothing"),
    ),
    Mutant(
        "a pause ends with its process",
        "iris_communication/outbox/store/statements.py",
        "    return change.server_key, change.paused, ",
        "    return change.server_key, False, ",
        "A server that somebody works on is written to in the middle of it.",
        tests_in(
            "unit/iris_communication/server", "test_facts.py::test_a_pause_outlives_the_process_until_it_is_resumed"
        ),
    ),
    Mutant(
        "the destinations of a file share one spool file",
        "iris_communication/outbox/files/spool.py",
        "                os.link(source, target)\n",
        "                pass\n",
        "The second destination has no bytes: it dies at the next start.",
        tests_in(OUTBOX, "writer/test_destinations.py::test_each_destination_has_an_item_and_bytes_of_its_own"),
    ),
)
