"""Mutants of archives: what one holds, how its members are settled, when it may be formed again."""

from tests.mutants.mutant import Mutant, tests_in

LIBRARY = "unit/iris_communication"
OUTBOX = "unit/iris_communication/outbox"
DELIVERY = "unit/iris_communication/delivery"
ARCHIVE = "iris_communication/archive/writing.py"
BATCHED = "iris_communication/delivery/batches.py"
BATCHING = "iris_communication/outbox/writer/batching.py"

TRAVELLING = (
    Mutant(
        "a member's bytes go into an archive unproved",
        ARCHIVE,
        "                if self._digest.hexdigest() != self._content.fingerprint.sha256:\n",
        "                if False:\n",
        "Bytes that nobody accepted arrive under a manifest that contradicts them, and the whole archive is refused.",
        tests_in(
            "unit/iris_communication/archive",
            "test_writing.py::test_a_member_whose_bytes_changed_is_named_and_no_archive_is_left",
        ),
    ),
    Mutant(
        "an archive that may have arrived is formed anew of whatever waits",
        BATCHING,
        "            if item.batch_id is not None:\n",
        "            if False:\n",
        "What arrived already arrives a second time, in another archive, and nobody notices.",
        tests_in(
            OUTBOX,
            "writer/test_batching.py::test_an_archive_that_may_have_arrived_is_formed_again_of_exactly_its_members",
            "writer/test_batching.py::test_an_archive_is_formed_again_of_exactly_its_members_after_a_kill",
        ),
    ),
    Mutant(
        "an archive is formed again without one of its members",
        BATCHING,
        "len(waiting) == _count(name) and ",
        "",
        "Other bytes under the old name and token: the rename that once took it counts for files it never held.",
        tests_in(
            OUTBOX,
            "writer/test_batching.py::test_members_of_an_archive_that_lost_one_go_by_themselves_and_clear_away_what_it_left",
        ),
    ),
    Mutant(
        "a member takes its archive's rename for its own",
        BATCHING,
        "    effect = Effect.NONE if item.effect is Effect.NONE else Effect.UNSEEN\n",
        "    effect = item.effect\n",
        "The archive's temp file is gone, so each of its members counts as delivered by itself: it never was.",
        tests_in(
            OUTBOX,
            "writer/test_batching.py::"
            "test_members_never_take_the_archives_rename_for_their_own_where_none_can_be_sent_any_more",
        ),
    ),
    Mutant(
        "the members of an archive are settled one by one",
        "iris_communication/outbox/writer/handlers.py",
        "        for settle in archive.settles:\n",
        "        for settle in archive.settles[:1]:\n",
        "A crash finds some of them delivered and the others owed, and sends those again.",
        tests_in(
            OUTBOX, "writer/test_batching.py::test_each_member_of_a_delivered_archive_has_its_own_line_in_one_commit"
        ),
    ),
    Mutant(
        "a refused archive is refused for each of its members",
        BATCHED,
        "            yield Settle(member, Event.RELEASE, error=error, effect=effect,",
        "            yield Settle(member, event, error=error, effect=effect,",
        "A hundred good files are dead because the server takes no archives.",
        tests_in(
            DELIVERY,
            "test_batches.py::test_an_archive_that_is_refused_costs_no_attempt_and_its_members_go_by_themselves",
        ),
    ),
    Mutant(
        "what is unpacked gets its name before it is proved",
        "iris_communication/archive/reading.py",
        "        if digest.hexdigest() != member.sha256:\n",
        "        if False:\n",
        "A damaged archive leaves damaged files under good names.",
        tests_in(LIBRARY, "archive/test_unpack.py::test_each_byte_of_a_member_counts"),
    ),
    Mutant(
        "what is unpacked takes a name from somebody",
        "iris_communication/archive/unpack.py",
        "        os.link(source, target)\n",
        "        os.replace(source, target)\n",
        "The second archive of a day overwrites what the first one brought.",
        tests_in(
            LIBRARY, "archive/test_unpack.py::test_a_file_that_has_the_name_is_left_alone_and_ours_takes_the_one_beside"
        ),
    ),
)
