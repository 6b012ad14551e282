"""A notice into the mailbox whose PIN has just been locked by wrong guesses."""

from typing import Protocol

import structlog

from um.core.account import Account
from um.core.errors import UMError
from um.core.ports import Clock, Store
from um.mime.clean import clean_text
from um.policy import lockout
from um.service.delivery import Delivery
from um.service.notice_texts import PIN_LOCKED, WITHHELD, spoken_language
from um.service.notices import deliver_notice

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
        # While it is locked no guess is counted: more than these are calls that guessed together.
        if failures < lockout.PIN_RULES[0].failures:
            return
        from_whom = clean_text(caller) or WITHHELD[spoken_language(account.language)]
        await deliver_notice(
            places.delivery,
            account,
            PIN_LOCKED,
            {"failures": failures, "caller": from_whom},
            at=now,
            notice_id=f"pin-locked-{now:%Y%m%d%H%M}-{account.id}",
        )
    except UMError as error:
        log.warning("no lock notice", account=account.id, reason=error.code)
