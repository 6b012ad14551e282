"""What a delivery writes into the outbox, in its own transaction: copies and a webhook's event."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from um.core.account import Account
from um.core.forwarding import CopyMode, OutboxEntry, Purpose
from um.core.ids import OutboxId
from um.core.message import Content, Entry, MessageKind
from um.core.ports import Transaction
from um.mime.clean import clean_text
from um.mime.fields import parse_fields
from um.mime.headers import decode_text
from um.policy.forwarding import KINDS, Trace, may_copy, rule_for, targets

WEBHOOK_URL = "webhook.url"
"""The preference with the operator's URL for an account; nothing is posted without it."""
WEBHOOK_SALT = "webhook.salt"
"""Changes with every URL, and with it the secret that signs."""
SENT_ON = frozenset({*KINDS, MessageKind.NOTICE})


@dataclass(frozen=True, slots=True)
class Stored:
    """A message that a delivery has just stored."""

    account: Account
    content: Content
    entry: Entry
    new_id: Callable[[], str]
    now: datetime


def write_outbox_txn(tx: Transaction, stored: Stored) -> int:
    """Write the rows that the owner's rules ask for; returns how many."""
    if stored.content.kind not in SENT_ON:
        return 0
    preferences = tx.accounts.preferences(stored.account.id)
    rows = 0
    if url := preferences.get(WEBHOOK_URL):
        tx.outbox.add(_webhook(stored, url))
        rows += 1
    rule = rule_for(preferences, stored.content.kind)
    if rule.mode is CopyMode.OFF:
        return rows
    if not may_copy(read_trace(stored.content.header), own_addresses(tx, stored.account)):
        return rows
    for address in targets(tx.addresses.of_account(stored.account.id)):
        row = replace(_row(stored, Purpose.COPY, address.address), mode=rule.mode, after=rule.after)
        tx.outbox.add(row)
        rows += 1
    return rows


def read_trace(header: bytes) -> Trace:
    """What a header block tells of the message's way."""
    fields = parse_fields(header)
    auto = fields.first(b"auto-submitted") or b"no"
    return Trace(
        delivered_to=[decode_text(value) for value in fields.every(b"delivered-to")],
        received=len(fields.every(b"received")),
        auto_submitted=decode_text(auto),
    )


def own_addresses(tx: Transaction, account: Account) -> set[str]:
    """The addresses of a mailbox, in small letters."""
    numbers = [number.e164 for number in tx.numbers.of_account(account.id)]
    locals_ = [account.name, *numbers, *(number.removeprefix("+") for number in numbers)]
    return {f"{local}@{account.domain}".lower() for local in locals_}


def main_address(account: Account) -> str:
    """What Delivered-To says of a mailbox."""
    return f"{account.name}@{account.domain}".lower()


def _row(stored: Stored, purpose: Purpose, target: str) -> OutboxEntry:
    return OutboxEntry(
        id=OutboxId(stored.new_id()),
        account_id=stored.account.id,
        purpose=purpose,
        target=target,
        created_at=stored.now,
        next_try=stored.now,
        content_id=stored.content.id,
        mailbox_id=stored.entry.mailbox_id,
        uid=stored.entry.uid,
    )


def _webhook(stored: Stored, url: str) -> OutboxEntry:
    """The event is kept whole: it is posted even if the message is deleted meanwhile."""
    row = _row(stored, Purpose.WEBHOOK, url)
    content, fields = stored.content, parse_fields(stored.content.header)

    def text(name: bytes) -> str:
        return clean_text(decode_text(fields.first(name) or b""), 200)

    event = {
        "event": "message.stored",
        "id": row.id,
        "at": stored.now.isoformat(),
        "account": stored.account.name,
        "kind": content.kind.value,
        "email_id": content.id,
        "mailbox_id": stored.entry.mailbox_id,
        "uid": stored.entry.uid,
        "size_octets": content.size_octets,
        "duration_seconds": content.duration_seconds,
        "pages": content.pages,
        "caller": text(b"x-callingtelephonenumber"),
        "from": text(b"from"),
        "subject": text(b"subject"),
    }
    return replace(row, detail=json.dumps(event, ensure_ascii=False, sort_keys=True))
