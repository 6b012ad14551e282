"""A notice into the mailbox whose PIN has just been locked by wrong guesses."""

from typing import Protocol
from uuid import uuid4

import structlog

from um.core.account import Account
from um.core.errors import UMError
from um.core.ids import IngestKey
from um.core.message import MessageKind
from um.core.ports import Clock, Store
from um.mime.build import NoticeFacts, notice_message
from um.mime.clean import clean_text
from um.policy import lockout
from um.service.delivery import Delivery, Incoming, Room

log = structlog.get_logger(__name__)


class Places(Protocol):
    """What writing a notice needs."""

    store: Store
    delivery: Delivery
    clock: Clock


async def tell_owner(places: Places, account: Account, caller: str) -> None:
    """Deliver the notice if the PIN is locked since this failure; trouble is logged, not raised."""
    now = places.clock.now()
    subject = lockout.pin_subject(account.id)
    try:
        failures = await places.store.read(
            "pin-failures", lambda tx: tx.lockouts.failures(subject, since=now - lockout.WINDOW)
        )
        if failures != lockout.PIN_RULES[0].failures:
            return
        notice_id = uuid4().hex
        facts = NoticeFacts(
            id=notice_id,
            domain=account.domain,
            recipient=account.name,
            at=now,
            subject="The PIN of your mailbox is locked",
            text=_text(failures, clean_text(caller) or "a withheld number"),
            timezone=account.timezone,
            recipient_name=account.full_name,
        )
        await places.delivery.deliver(
            Incoming(
                account_id=account.id,
                kind=MessageKind.NOTICE,
                data=notice_message(facts),
                ingest_key=IngestKey(f"{notice_id}:{account.id}"),
                room=Room.NOTICE,
            )
        )
    except UMError as error:
        log.warning("no lock notice", account=account.id, reason=error.code)


def _text(failures: int, caller: str) -> str:
    return (
        f"A wrong PIN was entered {failures} times within 24 hours, the last time from {caller}.\n"
        "\n"
        "Until 24 hours have passed your mailbox cannot be opened by phone. Mail programs are not\n"
        "affected. A new PIN, which your provider can set for you, ends the lock at once.\n"
    )
