"""The contract of `Lockouts` and `Records`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from um.core.account import AuditRecord, CallRecord, PurgeRecord
from um.core.errors import NotFoundError


def test_failures_are_counted_since_an_instant(house):
    """Failures of a subject count from `since` on, until they are cleared or forgotten."""
    at = house.now()
    for minutes in (0, 1, 2):
        when = at + timedelta(minutes=minutes)
        house.run(lambda tx, when=when: tx.lockouts.record_failure("pin:a", when))
    house.run(lambda tx: tx.lockouts.record_failure("pin:b", at))
    later = at + timedelta(minutes=1)
    assert house.read(lambda tx: tx.lockouts.failures("pin:a", since=later)) == 2
    assert house.run(lambda tx: tx.lockouts.forget(later)) == 2
    assert house.read(lambda tx: tx.lockouts.failures("pin:a", since=at)) == 2
    house.run(lambda tx: tx.lockouts.clear("pin:a"))
    assert house.read(lambda tx: tx.lockouts.failures("pin:a", since=at)) == 0


def test_the_audit_log_of_an_account_is_in_order(house):
    """Records come back whole, oldest first, and only the account's own."""
    account = house.account()
    records = [
        AuditRecord(house.now() + timedelta(seconds=n), "op", f"act{n}", account.id, "é")
        for n in range(3)
    ]
    for record in (*records, AuditRecord(house.now(), "op", "start", None)):
        house.run(lambda tx, record=record: tx.records.audit(record))
    assert house.read(lambda tx: tx.records.audit_of(account.id)) == records


def test_calls_are_listed_newest_first(house):
    """The history is newest first, as many as are asked for, of accounts that are there."""
    account = house.account()
    calls = [
        CallRecord(account.id, house.now() + timedelta(seconds=n), "voice", None, "anonymous", 1.25)
        for n in range(3)
    ]
    for call in calls:
        house.run(lambda tx, call=call: tx.records.add_call(call))
    assert house.read(lambda tx: tx.records.calls_of(account.id)) == calls[::-1]
    assert house.read(lambda tx: tx.records.calls_of(account.id, limit=1)) == calls[2:]
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.records.add_call(replace(calls[0], account_id="f" * 32)))


def test_calls_are_listed_by_kind_and_from_an_instant_on(house):
    """None later than `until`; `skip` passes over the first of those."""
    account = house.account()
    kinds = ("voice", "mail", "voice", "fax", "voice")
    lines = [
        CallRecord(account.id, house.now() + timedelta(seconds=n // 2), kind, None, str(n), 0.0)
        for n, kind in enumerate(kinds)
    ]
    for line in lines:
        house.run(lambda tx, line=line: tx.records.add_call(line))

    def callers(**wanted):
        found = house.read(lambda tx: tx.records.calls_of(account.id, **wanted))
        return "".join(each.caller for each in found)

    assert callers(kinds=["voice"]) == "420"
    assert callers(kinds=["fax", "mail"], limit=1) == "3"
    assert callers(until=house.now() + timedelta(seconds=1)) == "3210"
    assert callers(until=house.now() + timedelta(seconds=1), skip=1, limit=2) == "21"
    assert callers(until=house.now() - timedelta(seconds=1)) == ""
    assert callers(kinds=["voice"], until=house.now() + timedelta(seconds=1), skip=1) == "0"


def test_one_purge_record_an_account(house):
    """The record of a purge is replaced when the purge goes on."""
    begun = PurgeRecord("a" * 32, house.now(), None, 0, 0, 0)
    done = replace(begun, finished_at=house.now(), messages=3, octets=2**40, blobs=2)
    for record in (begun, done):
        house.run(lambda tx, record=record: tx.records.save_purge(record))
    assert house.read(lambda tx: tx.records.purges()) == [done]


def test_marks_keep_one_value(house):
    """A mark is set and replaced; one that was never set is None."""
    assert house.read(lambda tx: tx.records.mark("clock")) is None
    for value in ("1", "2"):
        house.run(lambda tx, value=value: tx.records.set_mark("clock", value))
    assert house.read(lambda tx: tx.records.mark("clock")) == "2"
