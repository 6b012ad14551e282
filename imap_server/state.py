"""The states of a connection (RFC 3501 §3) and which command belongs in which, as one table."""

from enum import StrEnum

from imap_server.wire.commands import Command, Search, Sort, Thread, UnknownCharset
from imap_server.wire.parser import GRAMMAR
from imap_server.wire.search import counts_by_number


class State(StrEnum):
    """RFC 3501 §3."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


_ANY = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
_BEFORE_LOGIN = frozenset({State.NOT_AUTHENTICATED})
_AFTER_LOGIN = frozenset({State.AUTHENTICATED, State.SELECTED})
_SELECTED = frozenset({State.SELECTED})

ALLOWED: dict[bytes, frozenset[State]] = {
    b"CAPABILITY": _ANY,
    b"NOOP": _ANY,
    b"LOGOUT": _ANY,
    b"ID": _ANY,
    b"STARTTLS": _BEFORE_LOGIN,
    b"AUTHENTICATE": _BEFORE_LOGIN,
    b"LOGIN": _BEFORE_LOGIN,
    b"SELECT": _AFTER_LOGIN,
    b"EXAMINE": _AFTER_LOGIN,
    b"ENABLE": _AFTER_LOGIN,
    b"COMPRESS": _AFTER_LOGIN,
    b"CREATE": _AFTER_LOGIN,
    b"DELETE": _AFTER_LOGIN,
    b"RENAME": _AFTER_LOGIN,
    b"SUBSCRIBE": _AFTER_LOGIN,
    b"UNSUBSCRIBE": _AFTER_LOGIN,
    b"LIST": _AFTER_LOGIN,
    b"LSUB": _AFTER_LOGIN,
    b"STATUS": _AFTER_LOGIN,
    b"APPEND": _AFTER_LOGIN,
    b"NAMESPACE": _AFTER_LOGIN,
    b"GETQUOTA": _AFTER_LOGIN,
    b"GETQUOTAROOT": _AFTER_LOGIN,
    b"GETMETADATA": _AFTER_LOGIN,
    b"SETMETADATA": _AFTER_LOGIN,
    b"NOTIFY": _AFTER_LOGIN,
    b"IDLE": _AFTER_LOGIN,
    b"CHECK": _SELECTED,
    b"CLOSE": _SELECTED,
    b"UNSELECT": _SELECTED,
    b"EXPUNGE": _SELECTED,
    b"UID EXPUNGE": _SELECTED,
    b"SEARCH": _SELECTED,
    b"UID SEARCH": _SELECTED,
    b"SORT": _SELECTED,
    b"UID SORT": _SELECTED,
    b"THREAD": _SELECTED,
    b"UID THREAD": _SELECTED,
    b"FETCH": _SELECTED,
    b"UID FETCH": _SELECTED,
    b"STORE": _SELECTED,
    b"UID STORE": _SELECTED,
    b"COPY": _SELECTED,
    b"UID COPY": _SELECTED,
    b"MOVE": _SELECTED,
    b"UID MOVE": _SELECTED,
    b"REPLACE": _SELECTED,
    b"UID REPLACE": _SELECTED,
}
assert ALLOWED.keys() == GRAMMAR.keys(), "every command has its states"

HOLDS_EXPUNGE = frozenset({b"FETCH", b"STORE", b"SEARCH", b"SORT", b"THREAD"})
"""During these no EXPUNGE may be sent (RFC 3501 §7.4.1, RFC 5256 §3): the client counts by number."""


def told_as(name: bytes, command: Command) -> bytes:
    """The name that decides whether EXPUNGE may be sent.

    A UID SEARCH, SORT or THREAD that asks for message numbers is like one without UID (RFC 7162
    §3.2.10.2), and so is one whose keys cannot be read.
    """
    match command:
        case UnknownCharset():
            return name.removeprefix(b"UID ")
        case Search() | Sort() | Thread() if counts_by_number(command.key):
            return name.removeprefix(b"UID ")
        case _:
            return name


def refusal(name: bytes, state: State) -> str | None:
    """Why `name` may not be given in `state`; None if it may."""
    if state in ALLOWED[name]:
        return None
    if state is State.NOT_AUTHENTICATED:
        return "Log in first"
    if state is State.LOGOUT:
        return "Logging out"
    return "Already logged in" if ALLOWED[name] == _BEFORE_LOGIN else "No mailbox selected"
