"""Carries out what an owner's call asks for (`voicemail.requests`), over the services.

Laws:
- Before a mailbox is opened only `Knock` and `Enter` do anything; after it every request means that
  mailbox. The account's state is asked anew with every change.
- What is heard, saved and deleted here goes through `MailboxService`, so that it is so in IMAP too.
- Decoding, encoding and speaking run in threads; decoding begins before it is asked for.
"""

import asyncio
from array import array
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from um.core.account import Account
from um.core.errors import (
    AlreadyExistsError,
    AuthenticationError,
    NotFoundError,
    ReadOnlyError,
)
from um.core.message import FLAGGED, INBOX, SEEN, Entry, FlagOperation, Mailbox, MessageKind
from um.core.ports import Transaction
from um.mime.headers import decode_text, get
from um.policy.calendar import zone
from um.policy.lifecycle import Door, refusal
from um.policy.quota import percent_to_tell
from um.service.mailboxes import Transfer
from voicemail import requests as ask
from voicemail.audio import encode_wav, from_little_endian, little_endian, prepare
from voicemail.events import Clip
from voicemail.forwarded import forwarded
from voicemail.menu import Folder
from voicemail.office import Office
from voicemail.opening import Admitted, Opening
from voicemail.sound import sound_of_message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

log = structlog.get_logger(__name__)

READY_SOUNDS = 3
"""Decoded messages that one call keeps: the present one, and its neighbours."""
LEAST_SOUND_SECONDS = 0.2


class Desk:
    """One call's.

    Args:
        office: the services.
        own: the account that is meant without asking for a mailbox, if any.
        vouched: the call comes from a line of `own`: it may open without a PIN.
        caller: the number that calls, for notices.
    """

    def __init__(
        self, office: Office, own: Account | None, *, vouched: bool, caller: str = ""
    ) -> None:
        self._office = office
        self._opening = Opening(office, own, vouched=vouched, caller=caller)
        self._account: Account | None = None
        self._read_only = False
        self._sounds: dict[str, asyncio.Task[bytes]] = {}
        self._doings: Mapping[type, Callable[[Any], Awaitable[object]]] = {
            ask.Knock: self._knock,
            ask.Enter: self._enter,
            ask.SetPin: self._set_pin,
            ask.Count: self._count,
            ask.Look: self._look,
            ask.Prepare: self._prepare,
            ask.Fetch: self._fetch,
            ask.Discard: self._discard,
            ask.Restore: self._restore,
            ask.Save: self._save,
            ask.Seek: self._seek,
            ask.Forward: self._forward,
            ask.SendOutside: self._send_outside,
            ask.Recorded: self._recorded,
            ask.Keep: self._keep,
            ask.Erase: self._erase,
        }

    async def perform(self, request: object) -> object:
        """The request's result. Raises UMError."""
        return await self._doings[type(request)](request)

    def close(self) -> None:
        """The call is over: stop decoding."""
        for task in self._sounds.values():
            task.cancel()

    @property
    def account(self) -> Account:
        """The open mailbox's. Raises AuthenticationError while none is open."""
        if self._account is None:
            raise AuthenticationError
        return self._account

    # ---- opening

    async def _knock(self, request: ask.Knock) -> ask.Opened:
        return self._admit(await self._opening.knock(request))

    async def _enter(self, _: ask.Enter) -> ask.Opened:
        return self._admit(await self._opening.enter())

    def _admit(self, admitted: Admitted) -> ask.Opened:
        self._account = admitted.account
        self._read_only = admitted.opened.read_only
        return admitted.opened

    async def _set_pin(self, request: ask.SetPin) -> None:
        await self._check_writable()
        await self._office.accounts.set_pin(self.account.name, request.pin, actor="owner by phone")

    # ---- looking

    async def _count(self, _: ask.Count) -> ask.Counts:
        entries = await self._entries(INBOX)
        voice = [entry for entry in entries if entry.kind is MessageKind.VOICE]
        unseen = [entry for entry in entries if SEEN not in entry.flags]
        new = [entry for entry in unseen if entry.kind is MessageKind.VOICE]
        now = self._office.clock.now()
        usage = await self._office.store.read(
            "phone-usage", lambda tx: tx.accounts.usage(self.account.id, now)
        )
        return ask.Counts(
            percent_full=percent_to_tell(usage),
            new=len(new),
            saved=len(voice) - len(new),
            urgent=sum(FLAGGED in entry.flags for entry in new),
            faxes=sum(entry.kind is MessageKind.FAX for entry in unseen),
            invoices=sum(entry.kind is MessageKind.INVOICE for entry in unseen),
        )

    async def _look(self, request: ask.Look) -> ask.Listing:
        clock = zone(self.account.timezone)
        entries = await self._entries(request.folder.mailbox)
        voice = [entry for entry in entries if entry.kind is MessageKind.VOICE]
        contents = await self._office.mailboxes.contents(voice)
        items = []
        for entry in voice:
            content = contents.get(entry.content_id)
            if content is None:  # expunged meanwhile
                continue
            items.append(
                ask.Item(
                    mailbox_id=entry.mailbox_id,
                    uid=entry.uid,
                    content_id=entry.content_id,
                    heard=SEEN in entry.flags,
                    urgent=FLAGGED in entry.flags,
                    at=entry.internal_date.astimezone(clock),
                    caller_number=_caller(content.header),
                    seconds=content.duration_seconds or 0,
                )
            )
        return ask.Listing(tuple(items), self._office.clock.now().astimezone(clock).date())

    async def _entries(self, mailbox: str) -> list[Entry]:
        """What lies there; INBOX stands for all folders that new messages are put into."""
        names = [mailbox]
        if mailbox == INBOX:
            names = [each.name for each in await self._office.mailboxes.inboxes(self.account.id)]
        found = [entry for name in names for entry in await self._entries_of(name)]
        if len(names) > 1:
            found.sort(key=lambda entry: entry.internal_date)
        return found

    async def _entries_of(self, name: str) -> list[Entry]:
        try:
            return (await self._office.mailboxes.open(self.account.id, name)).entries
        except NotFoundError:  # a folder that nothing was saved to yet
            return []

    # ---- hearing

    async def _prepare(self, request: ask.Prepare) -> None:
        wanted = {item.content_id: item for item in request.items}
        for name in [name for name in self._sounds if name not in wanted][: 1 - READY_SOUNDS]:
            self._sounds.pop(name).cancel()
        for item in wanted.values():
            self._begin(item)

    async def _fetch(self, request: ask.Fetch) -> Clip:
        sound = await self._begin(request.item)
        if not self._read_only:
            await self._set_seen(request.item, on=True)
        return Clip(sound)

    def _begin(self, item: ask.Item) -> asyncio.Task[bytes]:
        task = self._sounds.get(item.content_id)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.ensure_future(self._decoded(item))
            self._sounds[item.content_id] = task
        return task

    async def _decoded(self, item: ask.Item) -> bytes:
        return await asyncio.to_thread(sound_of_message, await self._message(item))

    async def _message(self, item: ask.Item) -> bytes:
        contents = await self._office.store.read(
            "phone-content", lambda tx: tx.messages.contents([item.content_id])
        )
        if item.content_id not in contents:
            raise NotFoundError
        return await self._office.mailboxes.octets(contents[item.content_id])

    # ---- changing

    async def _set_seen(self, item: ask.Item, *, on: bool) -> None:
        await self._office.mailboxes.change_flags(
            self.account.id,
            item.mailbox_id,
            uids=[item.uid],
            operation=FlagOperation.ADD if on else FlagOperation.REMOVE,
            flags=[SEEN],
        )

    async def _discard(self, request: ask.Discard) -> ask.Item:
        item = request.item
        moved = await self._office.mailboxes.discard(
            self.account.id, item.mailbox_id, uids=[item.uid]
        )
        return _moved(item, moved, deleted=True)

    async def _restore(self, request: ask.Restore) -> ask.Item:
        return await self._move(request.item, request.folder)

    async def _save(self, request: ask.Save) -> ask.Item:
        item, folder = request.item, request.folder
        saved = await self._move(item, folder)
        if folder.heard is not None:
            await self._set_seen(saved, on=folder.heard)
        return saved

    async def _move(self, item: ask.Item, folder: Folder) -> ask.Item:
        mailboxes, account_id = self._office.mailboxes, self.account.id
        target = await self._target(folder)
        if target.id == item.mailbox_id:
            return item
        if folder.mailbox == INBOX:
            inboxes = await mailboxes.inboxes(account_id)
            if any(each.id == item.mailbox_id for each in inboxes):
                return item  # new and saved ones lie together, in whichever of these folders
        moved = await mailboxes.move(
            account_id, item.mailbox_id, uids=[item.uid], target=target.name
        )
        return _moved(item, moved, deleted=False)

    async def _target(self, folder: Folder) -> Mailbox:
        """The mailbox behind a folder of the telephone, made if it is missing."""
        mailboxes, account_id = self._office.mailboxes, self.account.id
        if folder.mailbox == INBOX:
            return await mailboxes.home(account_id, MessageKind.VOICE)
        try:
            return await mailboxes.find(account_id, folder.mailbox)
        except NotFoundError:
            try:
                return await mailboxes.create(account_id, folder.mailbox)
            except AlreadyExistsError:  # made by another session just now
                return await mailboxes.find(account_id, folder.mailbox)

    # ---- forwarding

    async def _seek(self, request: ask.Seek) -> bool:
        found = await self._office.find_number(request.mailbox)
        return found is not None and refusal(found[0], Door.VOICE) is None

    async def _forward(self, request: ask.Forward) -> None:
        await self._check_writable()
        found = await self._office.find_number(request.mailbox)
        if found is None:
            raise NotFoundError
        message = await self._message(request.item)
        incoming = await asyncio.to_thread(
            forwarded,
            message,
            request,
            sender=self.account,
            recipient=found,
            now=self._office.clock.now(),
            settings=self._office.settings,
        )
        await self._office.delivery.deliver(incoming)
        log.info("retrieval.forwarded", account=self.account.id, target=found[0].id)

    async def _send_outside(self, _: ask.SendOutside) -> int:
        await self._check_writable()
        sent = await self._office.outbox.send_unseen(self.account.id)
        log.info("retrieval.sent-outside", account=self.account.id, messages=sent)
        return sent

    # ---- greetings

    async def _recorded(self, _: ask.Recorded) -> object:
        return await self._office.greetings.kinds(self.account.id)

    async def _keep(self, request: ask.Keep) -> None:
        await self._check_writable()
        data = await asyncio.to_thread(_as_wav, request.samples)
        await self._office.greetings.put(self.account.id, request.kind, data)

    async def _erase(self, request: ask.Erase) -> None:
        await self._check_writable()
        await self._office.greetings.delete(self.account.id, request.kind)

    async def _check_writable(self) -> None:
        """The account as it is now may be changed from the phone, or its refusal is raised."""

        def account_txn(tx: Transaction) -> Account | None:
            return tx.accounts.get(self.account.id)

        account = await self._office.store.read("phone-account", account_txn)
        if account is None:
            raise NotFoundError
        if error := refusal(account, Door.PHONE):
            raise error
        if self._read_only:
            raise ReadOnlyError


def _moved(item: ask.Item, transfer: Transfer, *, deleted: bool) -> ask.Item:
    """The item where it lies now. Raises NotFoundError if it was gone before."""
    if not transfer.messages:
        raise NotFoundError
    (copied,) = transfer.messages
    return replace(item, mailbox_id=transfer.target.id, uid=copied.target_uid, deleted=deleted)


def _caller(header: bytes) -> str:
    return decode_text(get(header, "X-CallingTelephoneNumber") or b"")


def _as_wav(samples: bytes) -> bytes:
    """A greeting as it is kept: tail trimmed, level evened."""
    octets = little_endian(array("h", samples)).tobytes()
    prepared = prepare(octets, minimum_seconds=LEAST_SOUND_SECONDS)
    return encode_wav(prepared if prepared is not None else from_little_endian(octets))
