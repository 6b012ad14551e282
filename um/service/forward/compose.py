"""Turns a row of the outbox into the mail that leaves: the same octets each time it is tried."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from um.core.account import Account
from um.core.forwarding import CopyMode, ForwardAddress, OutboxEntry, OutgoingMail
from um.core.ids import OutboxId
from um.core.letter import Letter
from um.core.message import Content, MessageKind
from um.core.ports import Letters
from um.mime.attachments import parts_to_copy, plain_text
from um.mime.build import CopyFacts, copy_message
from um.mime.build.caller import ANONYMOUS, minutes_seconds, shown_caller
from um.mime.clean import clean_lines, clean_text
from um.mime.fields import parse_fields
from um.mime.headers import decode_text, select_fields
from um.policy.calendar import zone
from um.policy.forwarding import mode_for
from um.service.forward.addresses import AddressBook
from um.service.forward.links import Link, Links
from um.service.forward.plan import main_address
from um.service.forward.settings import ForwardSettings
from um.service.forward.signing import Signer
from um.service.password_reset import reset_token

BOUNCE_PREFIX = "bounce+"
ID_DIGITS = 32
_ESCAPED = re.compile(r"\\(.)")
_TRACE = ("Received", "Delivered-To")
_OUR_TEXT = frozenset({MessageKind.VOICE, MessageKind.FAX})
"""Kinds whose first part is words of ours, which the letter says anew."""
_CONTEXTS = {MessageKind.VOICE: "voice-message", MessageKind.FAX: "fax-message"}


@dataclass(frozen=True, slots=True)
class Source:
    """A message that is to be copied."""

    account: Account
    content: Content
    data: bytes = field(repr=False)


class Composer:
    """Writes mails from rows, messages and templates. Does no input or output itself."""

    def __init__(
        self,
        letters: Letters,
        links: Links,
        book: AddressBook,
        signer: Signer,
        settings: ForwardSettings,
    ) -> None:
        self._letters = letters
        self._links = links
        self._book = book
        self._signer = signer
        self._settings = settings

    def copy(self, row: OutboxEntry, source: Source) -> OutgoingMail:
        """The copy of a message for one address."""
        if source.content.kind is MessageKind.NOTICE:
            return self._notice(row, source)
        parts = parts_to_copy(source.data, without_text=source.content.kind in _OUR_TEXT)
        mode = mode_for(row.mode, sum(map(len, parts)))
        links: Sequence[Link] = ()
        expires_at: datetime | None = None
        if mode is CopyMode.LINK:
            links, expires_at = self._links.of(row, source.content, source.data)
        values = _values(source) | {
            "mode": str(mode),
            "links": links,
            "expires": _shown(expires_at, source.account) if expires_at else "",
            "domain": self._settings.domain,
        }
        return self._mail(
            row,
            source.account,
            self._letters.write("copy", source.account.language, values),
            sender_name=f"{clean_text(str(values['caller']), 60)} via {self._settings.domain}",
            kind=source.content.kind,
            trace=_trace(source.content.header),
            parts=parts if mode is CopyMode.ATTACH else (),
        )

    def confirmation(
        self, row: OutboxEntry, account: Account, address: ForwardAddress
    ) -> OutgoingMail | None:
        """The mail with an address's link; None if it has no open one any more."""
        token = self._book.token(address)
        if token is None or address.token_expires_at is None:
            return None
        values = {
            "owner": clean_text(account.full_name) or account.name,
            "mailbox": main_address(account),
            "url": f"{self._settings.public_url}/confirm/{token}",
            "expires": _shown(address.token_expires_at, account),
            "domain": self._settings.domain,
        }
        letter = self._letters.write("confirm", account.language, values)
        return self._mail(row, account, letter, sender_name=self._settings.domain)

    def password_reset(self, row: OutboxEntry, account: Account) -> OutgoingMail:
        """The mail with the link that opens a new password."""
        expires_at = datetime.fromisoformat(row.detail)
        token = reset_token(self._signer, account, expires_at)
        values = {
            "owner": clean_text(account.full_name) or account.name,
            "mailbox": main_address(account),
            "url": f"{self._settings.public_url}/reset/{token}",
            "expires": _shown(expires_at, account),
            "domain": self._settings.domain,
        }
        letter = self._letters.write("reset", account.language, values)
        return self._mail(row, account, letter, sender_name=self._settings.domain)

    def _notice(self, row: OutboxEntry, source: Source) -> OutgoingMail:
        """A notice goes out in its own words."""
        text = clean_lines(plain_text(source.data))
        values = _values(source) | {"text": text, "domain": self._settings.domain}
        letter = self._letters.write("notice", source.account.language, values)
        return self._mail(
            row,
            source.account,
            letter,
            sender_name=self._settings.domain,
            kind=source.content.kind,
        )

    def _mail(
        self,
        row: OutboxEntry,
        account: Account,
        letter: Letter,
        *,
        sender_name: str,
        kind: MessageKind | None = None,
        trace: bytes = b"",
        parts: Sequence[bytes] = (),
    ) -> OutgoingMail:
        facts = CopyFacts(
            id=row.id,
            sender=self._settings.forward_from,
            sender_name=sender_name,
            recipient=row.target,
            at=row.created_at,
            timezone=account.timezone,
            subject=letter.subject,
            text=letter.text,
            html=letter.html,
            delivered_to=main_address(account) if kind else "",
            trace=trace,
            kind=str(kind or ""),
            context=_CONTEXTS.get(kind, "") if kind else "",
            parts=parts,
        )
        sender = envelope_sender(row.id, self._settings)
        return OutgoingMail(sender, row.target, copy_message(facts))


def envelope_sender(row_id: OutboxId, settings: ForwardSettings) -> str:
    """The reverse path that names the row (VERP), at a domain whose mail comes back to us."""
    return f"{BOUNCE_PREFIX}{row_id}@{settings.envelope_domain}"


def bounced_row(address: str, settings: ForwardSettings) -> OutboxId | None:
    """The row that a recipient address names; None if it is no envelope sender of ours."""
    local, _, domain = address.lower().rpartition("@")
    row_id = local.removeprefix(BOUNCE_PREFIX)
    if domain != settings.envelope_domain or row_id == local:
        return None
    is_id = len(row_id) == ID_DIGITS and all(each in "0123456789abcdef" for each in row_id)
    return OutboxId(row_id) if is_id else None


def _values(source: Source) -> dict[str, object]:
    """What the letters may say of a message, cleaned of all that is more than text."""
    fields = parse_fields(source.content.header)

    def text(name: bytes) -> str:
        return clean_text(decode_text(fields.first(name) or b""), 200)

    name = _display_name(text(b"from"))
    caller = name or text(b"from")
    if source.content.kind in _OUR_TEXT:
        number = text(b"x-callingtelephonenumber")
        caller = shown_caller(name, "" if number == ANONYMOUS else number)
    seconds = source.content.duration_seconds
    return {
        "kind": str(source.content.kind),
        "owner": clean_text(source.account.full_name) or source.account.name,
        "mailbox": main_address(source.account),
        "caller": caller,
        "subject": text(b"subject"),
        "date": text(b"date"),
        "duration": minutes_seconds(seconds) if seconds is not None else "",
        "pages": source.content.pages or 0,
        "text": "",
    }


def _display_name(field: str) -> str:
    """The name in a From field of one address, its quotes undone; it may hold `<` itself."""
    name = field.rpartition("<")[0].strip()
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = _ESCAPED.sub(r"\1", name[1:-1])
    return name


def _trace(header: bytes) -> bytes:
    """The fields that count a message's hops, as they are."""
    return select_fields(header, _TRACE).removesuffix(b"\r\n")


def _shown(at: datetime, account: Account) -> str:
    return f"{at.astimezone(zone(account.timezone)):%Y-%m-%d %H:%M %Z}"
