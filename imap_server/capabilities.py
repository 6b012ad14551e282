"""What is on offer, when and to whom (RFC 3501 §6.1.1, RFC 5161).

Laws:
- Only what is finished stands here.
- An operator may take names away, from all clients or from those that say with ID who they are; what
  is taken away is not told, and ENABLE does not know it. What guards passwords cannot be taken away.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

ALWAYS = ("IMAP4rev1", "IMAP4rev2", "SASL-IR", "ID", "ENABLE", "IDLE")
AFTER_LOGIN = (
    "NAMESPACE",
    "CHILDREN",
    "UNSELECT",
    "UIDPLUS",
    "MOVE",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "STATUS=SIZE",
    "ESEARCH",
    "SEARCHRES",
    "WITHIN",
    "CONDSTORE",
    "QRESYNC",
    "SORT",
    "ESORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "SAVEDATE",
    "OBJECTID",
    "PREVIEW",
    "MULTIAPPEND",
    "UTF8=ACCEPT",
    "BINARY",
    "REPLACE",
    "CATENATE",
    "METADATA",
    "NOTIFY",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
)
ENABLED_BY: Mapping[str, tuple[str, ...]] = {
    "CONDSTORE": (),
    "QRESYNC": ("CONDSTORE",),
    "UTF8=ACCEPT": (),
    "IMAP4REV2": (),
}
"""What ENABLE knows (RFC 5161 §3.1), and what each of them turns on besides itself."""
SPELLED: Mapping[str, str] = {"IMAP4REV2": "IMAP4rev2"}
"""Where a name is not told in capitals."""
_NOT_TO_HIDE = frozenset({"IMAP4REV1", "STARTTLS", "LOGINDISABLED"})


@dataclass(frozen=True, slots=True)
class ClientMask:
    """Capabilities kept from programs whose ID "name" matches `name` (`*` and `?` as in a shell)."""

    name: str
    disabled: frozenset[str]

    def is_for(self, client: str) -> bool:
        """Whether a program that calls itself so is meant; case does not matter."""
        return fnmatchcase(client.lower(), self.name.lower())


@dataclass(frozen=True, slots=True)
class Offer:
    """What decides which names are told."""

    logged_in: bool
    secure: bool
    """Whether a password may be sent."""
    can_start_tls: bool
    append_octets: int
    literal_minus: bool
    compress: bool
    disabled: frozenset[str]


def offered(offer: Offer) -> list[str]:
    """The names, in the order told."""
    names = [*ALWAYS, "LITERAL-" if offer.literal_minus else "LITERAL+"]
    if offer.logged_in:
        names += [*AFTER_LOGIN, f"APPENDLIMIT={offer.append_octets}"]
        if offer.compress:
            names.append("COMPRESS=DEFLATE")
    else:
        if offer.can_start_tls:
            names.append("STARTTLS")
        names.append("AUTH=PLAIN" if offer.secure else "LOGINDISABLED")
    return [name for name in names if not is_disabled(name, offer.disabled)]


def is_disabled(name: str, disabled: Iterable[str]) -> bool:
    """Whether `name` is taken away: by itself, or by what stands before its `=`."""
    folded = name.upper()
    if folded in _NOT_TO_HIDE:
        return False
    return any(each.upper() in {folded, folded.partition("=")[0]} for each in disabled)


def enabled_by(names: Iterable[str], disabled: frozenset[str]) -> list[str]:
    """What ENABLE with these names turns on; what it does not know is passed over."""
    wanted = dict.fromkeys(name.upper() for name in names)
    return [name for name in wanted if name in ENABLED_BY and not is_disabled(name, disabled)]
