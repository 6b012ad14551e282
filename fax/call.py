"""One fax call on the server's side: answers it, lends its media to the child, keeps the books.

Laws: nothing is answered before there is room for a first page and a spool entry to keep it in; a
page is granted only after its room is reserved; whatever ends the call, the pages kept so far are
delivered, and a call without a page is in the history as a missed fax.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from fax.child import FaxChild
from fax.deposit import FaxDeposits
from fax.facts import KIND, ReceptionFacts
from fax.protocol import Ended, Media, Receive
from fax.room import FIRST_PAGE_OCTETS, message_octets
from fax.settings import FaxSettings
from um.core.errors import QuotaExceededError, UMError
from um.core.ports import Clock, Spool, SpoolEntry, Store
from um.core.steps import Steps
from um.service import history
from um.service.call_facts import CallFacts
from um.service.delivery import Delivery
from um.telephony.application import Call, EndReason, FaxMedia

if TYPE_CHECKING:
    from um.core.ids import ReservationId

log = structlog.get_logger(__name__)

REFUSALS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "quota-exceeded": (486, "Busy Here"),
        "account-suspended": (480, "Temporarily Unavailable"),
        "account-closed": (410, "Gone"),
        "not-found": (404, "Not Found"),
        "unavailable": (503, "Service Unavailable"),
    }
)
"""What a sender's core is told (RFC 3261 §21.4, §21.5); anything else is 500."""
_GOODBYE_SECONDS = 2.0
"""The caller ends a fax call after its DCN (T.30 §5.3.6.1.8); one that does not is hung up on."""
_RESERVED_SECONDS = 600
"""A reservation outlives the longest call by so much."""


class House(Protocol):
    """What a call needs of `fax.app.FaxService`."""

    spool: Spool
    delivery: Delivery
    store: Store
    clock: Clock
    child: FaxChild
    settings: FaxSettings
    deposits: FaxDeposits
    steps: Steps

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task that is kept."""
        ...


class FaxReception:
    """`um.telephony.application.CallApplication` and `fax.child.FaxCall` of one call."""

    def __init__(self, house: House, call: Call) -> None:
        self._house = house
        self._call = call
        self._started_at = house.clock.now()
        self._answered_at = house.clock.monotonic()
        self._reservation: ReservationId | None = None
        self._reserved_octets = 0
        self._entry: SpoolEntry | None = None
        self._kept_octets: dict[int, int] = {}
        self._is_up = False
        self._handed_over = False
        self._over = False
        self._ended = False
        house.spawn(self._prepare())

    # -- CallApplication ---------------------------------------------------------------------------

    def answered(self) -> None:
        """The call is up: the child takes the line as soon as there is a spool entry.

        A voice call that turns out to be a fax is up before this application begins.
        """
        self._answered_at = self._house.clock.monotonic()
        self._is_up = True
        if self._entry is not None:
            self._lend_line(self._entry)

    def audio(self, samples: bytes) -> None:
        """What was heard before the child took over; the sender repeats it."""

    def digit(self, digit: str) -> None:
        """Fax machines press no keys."""

    def playback_finished(self) -> None:
        """Nothing is played."""

    def ended(self, reason: EndReason) -> None:
        """The call is over; the child says what it has, unless it never had the line."""
        self._over = True
        log.info("fax.call-ended", call=self._call.info.call_id, reason=reason.value)
        if self._entry is not None and self._handed_over:
            self._house.child.hang_up(self._entry.id)
        elif self._entry is not None:
            self._house.spawn(self._house_keeps(ReceptionFacts()))

    # -- FaxCall -----------------------------------------------------------------------------------

    async def page_waiting(self, page: int, octets: int) -> bool:
        """Grow the reservation by one page; refuse the page if that is not possible."""
        kept = sum(self._kept_octets.values()) + octets
        count = len(self._kept_octets) + 1
        needed = message_octets(kept, count, ocr=self._house.settings.ocr)
        if needed > self._reserved_octets:
            try:
                await self._grow(needed)
            except UMError as error:
                log.info("fax.page-refused", page=page, error=error.code)
                return False
        self._kept_octets[page] = octets
        return True

    def page_kept(self, page: int) -> None:
        """The page is safe."""
        log.info("fax.page-kept", call=self._call.info.call_id, page=page)
        self._house.steps("spool.synced")

    def ended_by_child(self, ended: Ended) -> None:
        """The fax is over: seal what there is, deliver it; hang up unless the sender does."""
        self._ended = True
        self._note(ended)
        if not self._over:
            self._call.call_later(_GOODBYE_SECONDS, self._hang_up)
        seconds = self._house.clock.monotonic() - self._answered_at
        self._house.spawn(self._house_keeps(ReceptionFacts.of(ended, seconds=seconds)))

    def _note(self, ended: Ended) -> None:
        log.info(
            "fax.ended",
            call=self._call.info.call_id,
            number=self._call.number.e164,
            mode=_mode(ended.t38),
            complete=ended.complete,
            detail=ended.detail,
            pages=len(self._kept_octets),
            bit_rate=ended.bit_rate,
            ecm=ended.ecm,
            bad_rows=ended.bad_rows,
            recovered_ifps=ended.recovered_ifps,
            lost_ifps=ended.lost_ifps,
            repeated_datagrams=ended.repeated_datagrams,
            bad_packets=ended.bad_packets,
        )

    def _hang_up(self) -> None:
        if not self._over:
            self._call.hang_up()

    # -- the work ----------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        """Reserve room and open the spool, then answer; or say why not."""
        try:
            self._house.child.check_running()
            self._reservation = await self._house.delivery.reserve(
                self._call.account.id, FIRST_PAGE_OCTETS, seconds=self._longest_seconds
            )
            self._reserved_octets = FIRST_PAGE_OCTETS
            self._entry = await self._house.spool.open(self._facts().write(KIND))
        except UMError as error:
            await self._refuse(error)
            return
        if self._over:  # the sender did not wait
            await self._house_keeps(ReceptionFacts())
        elif self._is_up:
            self._take_t38()
            self._lend_line(self._entry)
        else:
            self._take_t38()
            self._call.answer()

    def _take_t38(self) -> None:
        if self._house.settings.enable_t38:
            self._call.take_t38(self._media_changed)

    async def _refuse(self, error: UMError) -> None:
        log.info("fax.refused", call=self._call.info.call_id, error=error.code)
        if self._is_up:
            self._call.hang_up()
        elif not self._over:
            self._call.reject(*REFUSALS.get(error.code, (500, "Server Internal Error")))
        try:
            await history.note(
                self._house.store, history.line(self._facts(), history.REFUSED, detail=error.code)
            )
            if self._reservation is not None:
                await self._house.delivery.release(self._reservation)
        except UMError as another:  # the reservation expires by itself
            log.warning("fax.not-noted", call=self._call.info.call_id, error=another.code)

    def _lend_line(self, entry: SpoolEntry) -> None:
        """Hand the media to the child; without a child or media the call ends."""
        try:
            media = self._call.hand_over_media()
            order = Receive(
                call=entry.id,
                folder=str(entry.folder.resolve()),
                station_id=self._call.number.e164,
                ecm=self._house.settings.ecm,
                max_pages=self._house.settings.max_pages,
                media=_media(FaxMedia(media.remote, media.payload_type, media.t38)),
                sequence=media.next_sequence,
                timestamp=media.next_timestamp,
                ssrc=media.ssrc,
                core=media.core,
            )
            self._house.child.receive(order, media.socket, self)
        except UMError as error:
            log.warning("fax.not-handed-over", call=self._call.info.call_id, error=error.code)
            self._call.hang_up()
            return
        self._handed_over = True
        if self._house.settings.enable_t38 and media.t38 is None:
            self._offer_t38_later()

    def _offer_t38_later(self) -> None:
        """The core may offer T.38 by itself; else we do, once the machines are talking (T.38 §D.2.2.4)."""
        seconds = self._house.settings.t38_offer_seconds
        if seconds > 0:
            self._call.call_later(seconds, self._offer_t38)

    def _offer_t38(self) -> None:
        if not self._over and not self._ended:
            self._call.offer_t38()

    def _media_changed(self, media: FaxMedia) -> None:
        """Both sides agreed to go on otherwise; nothing to do once the fax is over."""
        if self._entry is not None and not self._ended:
            log.info(
                "fax.media-changed", call=self._call.info.call_id, mode=_mode(media.t38 is not None)
            )
            self._house.child.change_media(self._entry.id, _media(media))

    async def _grow(self, octets: int) -> None:
        if self._reservation is None:
            raise QuotaExceededError
        await self._house.delivery.change_reservation(
            self._call.account.id, self._reservation, octets, seconds=self._longest_seconds
        )
        self._reserved_octets = octets

    async def _house_keeps(self, reception: ReceptionFacts) -> None:
        entry = self._entry
        assert entry is not None
        try:
            await entry.seal(reception.write())
        except UMError as error:  # each page is durable by itself
            log.warning("fax.not-sealed", entry=entry.id, error=error.code)
            await self._house.deposits.finish(entry, reception)
        else:
            await self._house.deposits.finish(entry)

    def _facts(self) -> CallFacts:
        info = self._call.info
        return CallFacts(
            account_id=self._call.account.id,
            number=self._call.number.e164,
            caller_number=info.caller_number,
            caller_name=info.caller_name,
            started_at=self._started_at,
            call_id=info.call_id,
            cause=info.cause.value,
            reservation_id=self._reservation,
        )

    @property
    def _longest_seconds(self) -> float:
        return self._house.settings.max_call_seconds + _RESERVED_SECONDS


def _mode(t38: bool) -> str:
    return "T.38" if t38 else "G.711"


def _media(media: FaxMedia) -> Media:
    """As the child is told."""
    (host, port), terms = media.remote, media.t38
    if terms is None:
        return Media(host, port, media.payload_type)
    return Media(
        host,
        port,
        media.payload_type,
        t38=True,
        max_datagram=terms.max_datagram,
        correction=terms.correction.value,
        local_tcf=terms.local_tcf,
    )
