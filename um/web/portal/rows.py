"""A message as a line of a list: who, what, when and how long, in the owner's language and zone."""

import re
from dataclasses import dataclass
from datetime import datetime

from um.core.message import MessageKind
from um.mime.build.caller import ANONYMOUS, minutes_seconds, shown_number
from um.mime.build.writer import local_time
from um.service.message_list import Listed
from um.web.api.messages import message_id
from um.web.portal.wording import Wording

_E164 = re.compile(r"\+[1-9][0-9]{5,14}")
CALLS = (MessageKind.VOICE, MessageKind.FAX)


def dialled(number: str) -> str:
    """The number if it is one in E.164, which a telephone can dial; else nothing."""
    return number if _E164.fullmatch(number) else ""


@dataclass(frozen=True, slots=True)
class Row:
    """What a template shows of a message. Texts are a stranger's."""

    id: str
    kind: str
    kind_name: str
    href: str
    folder: str
    who: str
    address: str
    what: str
    when: str
    iso: str
    length: str
    seen: bool
    urgent: bool
    pick: str
    """What a check box before it is called."""
    tel: str
    """A caller's number in E.164, to be called back; empty if there is none."""


class Rows:
    """Makes lines for one owner."""

    def __init__(self, words: Wording, timezone: str, now: datetime) -> None:
        self._words = words
        self._zone = timezone
        self._now = local_time(now, timezone)

    def local(self, instant: datetime) -> datetime:
        """On the owner's clock."""
        return local_time(instant, self._zone)

    def when(self, instant: datetime) -> str:
        """Day and time in full."""
        local = self.local(instant)
        return f"{self._words.date(local)}, {local:%H:%M}"

    def near(self, instant: datetime) -> str:
        """As short as it is clear."""
        return self._words.moment(self.local(instant), self._now)

    def of(self, message: Listed) -> Row:
        """The line of a message."""
        named, who = message_id(message.mailbox_id, message.uid), self.who(message)
        return Row(
            id=named,
            kind=message.kind,
            kind_name=self._words(f"kind.{message.kind}"),
            href=f"/messages/{named}",
            folder=message.folder,
            who=who,
            address=self.address(message),
            what=self.what(message),
            when=self.near(message.at),
            iso=message.at.isoformat(),
            length=self.length(message),
            seen=message.seen,
            urgent=message.urgent,
            pick=self._words("list.pick", who=who),
            tel=dialled(message.sender_address.partition("@")[0])
            if message.kind is MessageKind.VOICE
            else "",
        )

    def who(self, message: Listed) -> str:
        """A name, else a number or an address."""
        if message.sender and message.sender != message.sender_address:
            return message.sender
        return self.address(message) or self._words("message.unknown")

    def address(self, message: Listed) -> str:
        """A caller's number, or where a mail is from; empty if it is not known."""
        if message.kind not in CALLS:
            return message.sender_address
        number = message.sender_address.partition("@")[0]
        return "" if number == ANONYMOUS else shown_number(number)

    def what(self, message: Listed) -> str:
        """The subject; of a call its kind, with the number if the line begins with a name."""
        if message.kind not in CALLS:
            return message.subject or self._words("message.no_subject")
        kind, number = self._words(f"kind.{message.kind}"), self.address(message)
        return f"{kind} · {number}" if number and number != self.who(message) else kind

    def length(self, message: Listed) -> str:
        """Duration, pages or size."""
        if message.kind is MessageKind.VOICE and message.duration_seconds is not None:
            return minutes_seconds(message.duration_seconds)
        if message.kind is MessageKind.FAX and message.pages is not None:
            return self._words.count("list.pages", message.pages)
        return self._words.size(message.size_octets)
