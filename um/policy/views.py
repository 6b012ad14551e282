"""In which folder new messages of a kind are put: INBOX, unless the owner wants a folder of their own.

Laws:
- The folder is kept by its id, so that a mail program may rename it; one that is gone means INBOX.
- A folder that is no longer used is remembered: what lies in it is still looked at by telephone and
  lamp.
"""

from collections.abc import Mapping
from types import MappingProxyType

from um.core.ids import MailboxId
from um.core.message import MessageKind

KINDS = (MessageKind.VOICE, MessageKind.FAX, MessageKind.INVOICE)
"""Those that may have a folder; other mail and notices belong into INBOX."""
_UNUSED = "-"
_NAMES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "en": ("Voicemail", "Faxes", "Invoices"),
        "es": ("Mensajes de voz", "Faxes", "Facturas"),
        "fr": ("Messagerie vocale", "Télécopies", "Factures"),
    }
)


def view_key(kind: MessageKind) -> str:
    """The preference that keeps the folder of a kind."""
    return f"view.{kind}"


def usual_name(kind: MessageKind, language: str) -> str:
    """What a kind's folder is called if its owner gives it no name."""
    return _NAMES.get(language, _NAMES["en"])[KINDS.index(kind)]


def used(mailbox_id: MailboxId) -> str:
    """The preference's value for a folder that new messages are put into."""
    return mailbox_id


def unused(value: str | None) -> str | None:
    """The value once the folder is not used any more."""
    return value if value is None or value.startswith(_UNUSED) else _UNUSED + value


def folder_for(preferences: Mapping[str, str], kind: MessageKind) -> MailboxId | None:
    """Where a new message of that kind goes; None: INBOX."""
    value = preferences.get(view_key(kind), _UNUSED) if kind in KINDS else _UNUSED
    return None if value.startswith(_UNUSED) else MailboxId(value)


def folders_beside_inbox(preferences: Mapping[str, str]) -> list[MailboxId]:
    """Where messages may lie that came as new ones, those of unused folders among them."""
    values = (preferences.get(view_key(kind), "") for kind in KINDS)
    return list(dict.fromkeys(MailboxId(value.removeprefix(_UNUSED)) for value in values if value))
