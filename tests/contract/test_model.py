"""SQLite does what the memory store does, whatever is asked of it in whatever order."""

import shutil
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from storage.memory import MemoryStore
from storage.migrate import upgrade
from tests.support.stores import House, on_database
from um.core.errors import UMError
from um.core.message import DELETED, FLAGGED, SEEN, FlagOperation

ROOT = tempfile.TemporaryDirectory(prefix="um-model-")
TEMPLATE = Path(ROOT.name) / "um.db"
UIDS = st.lists(st.integers(1, 6), min_size=1, max_size=4)
FOLDERS = st.sampled_from(["INBOX", "Trash", "b"])
FLAG_LISTS = st.lists(st.sampled_from([SEEN, FLAGGED, DELETED, "$A", "$a", "b", "\\Recent"]))


class Model(RuleBasedStateMachine):
    """Runs every rule on both stores and compares the outcome, the error's kind included."""

    @initialize()
    def begin(self):
        if not TEMPLATE.exists():
            upgrade(TEMPLATE)
        self.folder = Path(tempfile.mkdtemp(dir=ROOT.name))
        shutil.copy(TEMPLATE, self.folder / "um.db")
        memory = House(lambda publish, clock, steps: MemoryStore(publish, clock=clock))
        self.houses = (memory, on_database(self.folder / "um.db"))
        self.account = memory.account()
        self.houses[1].run(lambda tx: tx.accounts.add(self.account))
        self.content = 0
        for name in ("INBOX", "Trash"):
            self.both(lambda tx, now, name=name: tx.mailboxes.create(self.account.id, name))
            for flags in ([], [SEEN, "$A"], [DELETED]):
                self.deliver_into(name, 100, flags)

    def both(self, work):
        """Run on both; ids of folders differ, so what is compared goes by their names."""
        outcomes = []
        for house in self.houses:
            try:
                result = house.run(lambda tx, house=house: work(tx, house.now()))
            except UMError as error:
                result = type(error)
            outcomes.append(self.named(house, result))
        assert outcomes[0] == outcomes[1]

    def named(self, house, result):
        names = {
            box.id: box.name
            for box in house.read(lambda tx: tx.mailboxes.of_account(self.account.id))
        }
        if isinstance(result, list | tuple):
            return [self.named(house, each) for each in result]
        if hasattr(result, "mailbox_id"):
            return replace(result, mailbox_id=names.get(result.mailbox_id, "gone"))
        if hasattr(result, "special_use"):
            return replace(result, id=result.name)
        return names.get(result, result) if isinstance(result, str) else result

    def box(self, tx, name):
        found = tx.mailboxes.by_name(self.account.id, name)
        return found.id if found else "f" * 32

    @rule(name=FOLDERS)
    def create(self, name):
        self.both(lambda tx, now: tx.mailboxes.create(self.account.id, name))

    @rule(name=FOLDERS)
    def delete(self, name):
        self.both(lambda tx, now: tx.mailboxes.delete(self.box(tx, name)))

    @rule(old=FOLDERS, new=FOLDERS)
    def rename(self, old, new):
        self.both(lambda tx, now: tx.mailboxes.rename(self.box(tx, old), new))

    @rule(name=FOLDERS, size=st.integers(0, 5000), flags=FLAG_LISTS)
    def deliver(self, name, size, flags):
        self.deliver_into(name, size, flags)

    def deliver_into(self, name, size, flags):
        self.content += 1
        number = f"{self.content:032x}"
        content = replace(self.houses[0].content(self.account, size), id=number, blob=number)

        def deliver_txn(tx, now):
            tx.messages.add_content(content)
            return tx.messages.add_entry(
                self.box(tx, name), content.id, flags=flags, internal_date=now, saved_at=now
            )

        self.both(deliver_txn)

    @rule(
        name=FOLDERS,
        uids=UIDS,
        operation=st.sampled_from(FlagOperation),
        flags=FLAG_LISTS,
        since=st.none() | st.integers(0, 30),
    )
    def store(self, name, uids, operation, flags, since):
        self.both(
            lambda tx, now: tx.messages.change_flags(
                self.box(tx, name), uids, operation, flags, unchanged_since=since
            )
        )

    @rule(source=FOLDERS, aim=FOLDERS, uids=UIDS, how=st.sampled_from(["copy", "move"]))
    def transfer(self, source, aim, uids, how):
        self.both(
            lambda tx, now: getattr(tx.messages, how)(
                self.box(tx, source), uids, self.box(tx, aim), now
            )
        )

    @rule(name=FOLDERS, uids=UIDS)
    def expunge(self, name, uids):
        self.both(lambda tx, now: tx.messages.expunge(self.box(tx, name), uids))

    @rule(name=FOLDERS, uids=UIDS, trashed=st.booleans())
    def trash(self, name, uids, trashed):
        self.both(
            lambda tx, now: tx.messages.set_trashed(
                self.box(tx, name), uids, now if trashed else None
            )
        )

    @rule(name=FOLDERS)
    def claim(self, name):
        self.both(lambda tx, now: tx.mailboxes.claim_recent(self.box(tx, name)))

    @rule(seconds=st.integers(0, 5))
    def wait(self, seconds):
        for house in self.houses:
            house.clock.advance(seconds)

    @invariant()
    def both_hold_the_same(self):
        """Folders, entries, tombstones, status, trash and charge are alike, and the charge exact."""
        if not hasattr(self, "houses"):
            return
        views = [house.read(lambda tx, house=house: self.view(tx, house)) for house in self.houses]
        seen = [self.named(house, view) for house, view in zip(self.houses, views, strict=True)]
        assert seen[0] == seen[1]
        folders, used, *_ = views[0]
        assert used == sum(entry.size_octets for _, _, entries, *_ in folders for entry in entries)

    def view(self, tx, house):
        folders = [
            (
                box,
                tx.mailboxes.status(box.id),
                tx.messages.entries(box.id),
                tx.messages.entries(box.id, since=5),
                tx.messages.vanished(box.id),
            )
            for box in tx.mailboxes.of_account(self.account.id)
        ]
        return (
            folders,
            tx.accounts.usage(self.account.id, house.now()).used_octets,
            sorted(tx.messages.blobs_of(self.account.id)),
            sorted(tx.messages.discarded(99)),
            sorted(
                entry.content_id
                for entry in tx.messages.trashed_before(house.now() + timedelta(1), 99)
            ),
            sorted(tx.accounts.counts(self.account.id).items()),
        )

    def teardown(self):
        if hasattr(self, "houses"):
            for house in self.houses:
                house.close()
            shutil.rmtree(self.folder)


Model.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestModel = Model.TestCase
