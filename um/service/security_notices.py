"""Tells owners what changed that opens their mailbox, so that a thief does not stay unseen.

The notice of an address is delivered before it takes effect: it goes to the box and to the addresses
that were confirmed so far, and to nobody whom the change itself lets in.
"""

from collections.abc import Mapping
from contextlib import suppress

import structlog

from um.core.account import Account
from um.core.errors import UMError, UnavailableError
from um.core.ports import Clock
from um.service.delivery import Delivery
from um.service.notice_texts import NoticeText
from um.service.notices import deliver_notice
from um.service.security_texts import ADDRESS_CONFIRMED, PASSWORD_RESET
from um.service.settings import AccountSettings

log = structlog.get_logger(__name__)


class SecurityNotices:
    """One object serves a process."""

    def __init__(self, delivery: Delivery, clock: Clock, settings: AccountSettings) -> None:
        self._delivery = delivery
        self._clock = clock
        self._settings = settings

    async def address_confirmed(self, account: Account, address: str, *, key: str) -> None:
        """An address is about to be confirmed; `key` makes the notice one. Raises UnavailableError."""
        values = {"address": address, "hours": self._settings.reset_after_hours}
        await self._tell(account, ADDRESS_CONFIRMED, values, f"confirmed-{key}")

    async def password_reset(self, account: Account, *, key: str) -> None:
        """A new password was set by a mailed link. Raises nothing: it is set, told of or not."""
        with suppress(UnavailableError):
            await self._tell(account, PASSWORD_RESET, {}, f"reset-{key}")

    async def _tell(
        self,
        account: Account,
        texts: Mapping[str, NoticeText],
        values: Mapping[str, object],
        notice_id: str,
    ) -> None:
        try:
            await deliver_notice(
                self._delivery, account, texts, values, at=self._clock.now(), notice_id=notice_id
            )
        except UnavailableError:
            raise
        except UMError as error:  # not even the room of notices is left: the log tells it
            log.warning("no security notice", account=account.id, reason=error.code)
