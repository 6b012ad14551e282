"""Commands from their text and literals: one table, name to grammar (RFC 3501 §9).

Laws: a function here takes the scanner behind the command's name and returns the command, or raises
`BadCommandError`; nothing else leaves this module.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from imap_server.wire import commands as c
from imap_server.wire.condstore import fetch_modifiers, select_parameters, store_modifier
from imap_server.wire.fetch import parse_items
from imap_server.wire.flags import MAX_FLAGS, storable
from imap_server.wire.listing import parse_list, parse_lsub, parse_status
from imap_server.wire.metadata import parse_get, parse_set
from imap_server.wire.names import canonical, decoded, mailbox, normalized
from imap_server.wire.notify import parse_notify
from imap_server.wire.search import (
    BadCharsetError,
    parse_return,
    parse_search,
    parse_with_charset,
)
from imap_server.wire.sort import parse_algorithm, parse_program
from imap_server.wire.tokens import BadCommandError, Scanner
from um.core.message import FlagOperation

T = TypeVar("T")

MAX_ID_FIELDS = 30
MAX_ENABLED = 50
SHORT_OCTETS = 64
"""Longer lines are hardly ever said twice."""
_SECRET = frozenset({b"LOGIN", b"AUTHE"})
_BASE64 = re.compile(rb"=|[A-Za-z0-9+/]+={0,2}")


def _alone(command: T) -> Callable[[Scanner], T]:
    return lambda _scan: command


def _argument(scan: Scanner, take: Callable[[], T]) -> T:
    scan.space()
    return take()


def _with_mailbox(make: Callable[[str], T]) -> Callable[[Scanner], T]:
    def parse(scan: Scanner) -> T:
        scan.space()
        return make(mailbox(scan))

    return parse


def _id(scan: Scanner) -> c.Id:
    scan.space()
    if not scan.next_is(b"("):
        if scan.nstring() is not None:
            raise BadCommandError("Expected a list or NIL")
        return c.Id(())
    pairs: list[tuple[str, str]] = []

    def pair() -> None:
        name = scan.string()
        scan.space()
        value = scan.nstring() or b""
        pairs.append((name.decode("utf-8", "replace").lower(), value.decode("utf-8", "replace")))

    scan.listed(pair, empty=True)
    if len(pairs) > MAX_ID_FIELDS:
        raise BadCommandError("Too many fields")
    return c.Id(tuple(pairs))


def _authenticate(scan: Scanner) -> c.Authenticate:
    scan.space()
    mechanism = scan.keyword().decode("ascii")
    if scan.at_end():
        return c.Authenticate(mechanism, None)
    scan.space()
    return c.Authenticate(mechanism, scan.match(_BASE64, "Invalid base64")[0])


def _login(scan: Scanner) -> c.Login:
    return c.Login(_argument(scan, scan.astring), _argument(scan, scan.astring))


def _select(*, read_only: bool) -> Callable[[Scanner], c.Select]:
    def parse(scan: Scanner) -> c.Select:
        scan.space()
        written = decoded(scan, scan.astring())
        condstore, known = select_parameters(scan)
        return c.Select(
            canonical(written),
            read_only=read_only,
            condstore=condstore,
            known=known,
            written=written,
        )

    return parse


def _create(scan: Scanner) -> c.Create:
    scan.space()
    written = decoded(scan, scan.astring()).removesuffix("/")
    uses: list[str] = []
    if scan.skip(b" (USE "):
        uses = scan.listed(scan.flag, empty=True)
        scan.expect(b")")
    if len(uses) > MAX_FLAGS:
        raise BadCommandError("Too many special uses")
    return c.Create(normalized(scan, written), tuple(dict.fromkeys(uses)), written)


def _enable(scan: Scanner) -> c.Enable:
    names = []
    while not scan.at_end():
        scan.space()
        names.append(scan.keyword().decode("ascii"))
    if not names or len(names) > MAX_ENABLED:
        raise BadCommandError("Expected a few capabilities")
    return c.Enable(tuple(names))


def _rename(scan: Scanner) -> c.Rename:
    name = _argument(scan, lambda: mailbox(scan))
    written = _argument(scan, lambda: decoded(scan, scan.astring()))
    return c.Rename(name, normalized(scan, written), written)


def _in_chunks(_scan: Scanner) -> c.Command:
    """APPEND is read chunk by chunk, by `wire.append`: a whole line of it has no message."""
    raise BadCommandError("The message must be a literal")


def _get_quota(scan: Scanner) -> c.GetQuota:
    return c.GetQuota(_argument(scan, scan.astring).decode("utf-8", "replace"))


def _uid_expunge(scan: Scanner) -> c.Expunge:
    return c.Expunge(_argument(scan, scan.sequence_set))


def _search(*, by_uid: bool) -> Callable[[Scanner], c.Search | c.UnknownCharset]:
    def parse(scan: Scanner) -> c.Search | c.UnknownCharset:
        scan.space()
        returns = parse_return(scan)
        try:
            key, names_charset = parse_search(scan)
        except BadCharsetError:
            scan.leave_rest()
            return c.UnknownCharset(returns, names_charset=True)
        return c.Search(key, by_uid=by_uid, returns=returns, names_charset=names_charset)

    return parse


def _sort(*, by_uid: bool) -> Callable[[Scanner], c.Sort | c.UnknownCharset]:
    def parse(scan: Scanner) -> c.Sort | c.UnknownCharset:
        scan.space()
        returns = parse_return(scan)
        program = parse_program(scan)
        scan.space()
        try:
            key = parse_with_charset(scan)
        except BadCharsetError:
            scan.leave_rest()
            return c.UnknownCharset(returns)
        return c.Sort(program, key, by_uid=by_uid, returns=returns)

    return parse


def _thread(*, by_uid: bool) -> Callable[[Scanner], c.Thread | c.UnknownCharset]:
    def parse(scan: Scanner) -> c.Thread | c.UnknownCharset:
        scan.space()
        algorithm = parse_algorithm(scan)
        scan.space()
        try:
            key = parse_with_charset(scan)
        except BadCharsetError:
            scan.leave_rest()
            return c.UnknownCharset()
        return c.Thread(algorithm, key, by_uid=by_uid)

    return parse


def _fetch(*, by_uid: bool) -> Callable[[Scanner], c.Fetch]:
    def parse(scan: Scanner) -> c.Fetch:
        messages = _argument(scan, scan.sequence_set)
        scan.space()
        items = parse_items(scan)
        since, vanished = fetch_modifiers(scan)
        return c.Fetch(messages, items, by_uid=by_uid, changed_since=since, vanished=vanished)

    return parse


_OPERATIONS = {
    b"FLAGS": FlagOperation.REPLACE,
    b"+FLAGS": FlagOperation.ADD,
    b"-FLAGS": FlagOperation.REMOVE,
}


def _store(*, by_uid: bool) -> Callable[[Scanner], c.Store]:
    def parse(scan: Scanner) -> c.Store:
        messages = _argument(scan, scan.sequence_set)
        unchanged_since = store_modifier(scan)
        name, dot, silent = _argument(scan, scan.keyword).partition(b".")
        operation = _OPERATIONS.get(name)
        if operation is None or (dot and silent != b"SILENT"):
            raise BadCommandError("Expected FLAGS")
        scan.space()
        if scan.next_is(b"("):
            written = scan.listed(scan.flag, empty=True)
        else:
            written = [scan.flag()]
            while scan.skip(b" "):
                written.append(scan.flag())
        return c.Store(
            messages,
            operation,
            storable(written),
            silent=bool(dot),
            by_uid=by_uid,
            unchanged_since=unchanged_since,
        )

    return parse


def _copy(*, move: bool, by_uid: bool) -> Callable[[Scanner], c.Copy]:
    def parse(scan: Scanner) -> c.Copy:
        messages = _argument(scan, scan.sequence_set)
        scan.space()
        return c.Copy(messages, mailbox(scan), move=move, by_uid=by_uid)

    return parse


GRAMMAR: dict[bytes, Callable[[Scanner], c.Command]] = {
    b"CAPABILITY": _alone(c.Capability()),
    b"NOOP": _alone(c.Noop()),
    b"LOGOUT": _alone(c.Logout()),
    b"ID": _id,
    b"ENABLE": _enable,
    b"STARTTLS": _alone(c.StartTls()),
    b"AUTHENTICATE": _authenticate,
    b"LOGIN": _login,
    b"COMPRESS": lambda scan: c.Compress(_argument(scan, scan.keyword).decode("ascii")),
    b"SELECT": _select(read_only=False),
    b"EXAMINE": _select(read_only=True),
    b"CREATE": _create,
    b"DELETE": _with_mailbox(c.Delete),
    b"RENAME": _rename,
    b"SUBSCRIBE": _with_mailbox(lambda name: c.Subscribe(name, on=True)),
    b"UNSUBSCRIBE": _with_mailbox(lambda name: c.Subscribe(name, on=False)),
    b"LIST": parse_list,
    b"LSUB": parse_lsub,
    b"STATUS": parse_status,
    b"APPEND": _in_chunks,
    b"NAMESPACE": _alone(c.Namespace()),
    b"GETQUOTA": _get_quota,
    b"GETQUOTAROOT": _with_mailbox(c.GetQuotaRoot),
    b"GETMETADATA": parse_get,
    b"SETMETADATA": parse_set,
    b"NOTIFY": parse_notify,
    b"IDLE": _alone(c.Idle()),
    b"CHECK": _alone(c.Check()),
    b"CLOSE": _alone(c.Close(expunge=True)),
    b"UNSELECT": _alone(c.Close(expunge=False)),
    b"EXPUNGE": _alone(c.Expunge(None)),
    b"UID EXPUNGE": _uid_expunge,
    b"SEARCH": _search(by_uid=False),
    b"UID SEARCH": _search(by_uid=True),
    b"SORT": _sort(by_uid=False),
    b"UID SORT": _sort(by_uid=True),
    b"THREAD": _thread(by_uid=False),
    b"UID THREAD": _thread(by_uid=True),
    b"FETCH": _fetch(by_uid=False),
    b"UID FETCH": _fetch(by_uid=True),
    b"STORE": _store(by_uid=False),
    b"UID STORE": _store(by_uid=True),
    b"COPY": _copy(move=False, by_uid=False),
    b"UID COPY": _copy(move=False, by_uid=True),
    b"MOVE": _copy(move=True, by_uid=False),
    b"UID MOVE": _copy(move=True, by_uid=True),
    b"REPLACE": _in_chunks,
    b"UID REPLACE": _in_chunks,
}

APPENDS = frozenset({b"APPEND", b"REPLACE", b"UID REPLACE"})
"""Commands whose messages are offered one by one: read by `wire.append`."""


def parse_name(scan: Scanner) -> bytes:
    """The command's name in capitals; `UID` is part of it."""
    name = scan.keyword()
    if name == b"UID":
        scan.space()
        name = b"UID " + scan.keyword()
    if name not in GRAMMAR:
        raise BadCommandError("Unknown command")
    return name


@lru_cache(maxsize=512)
def _parse_known(text: bytes, *, utf8: bool) -> tuple[bytes, c.Command]:
    scan = Scanner((text,), utf8=utf8)
    name = parse_name(scan)
    command = GRAMMAR[name](scan)
    scan.end()
    return name, command


def parse_short(text: bytes, *, utf8: bool = False) -> tuple[bytes, c.Command] | None:
    """Name and command of a line behind its tag, if it is short; None: see `parse_command`.

    Programs say the same few lines over and over, so those are remembered, commands being values
    that never change; lines that hold a password are not. Raises what `parse_command` does.
    """
    if len(text) > SHORT_OCTETS or text[:5].upper() in _SECRET:
        return None
    return _parse_known(text, utf8=utf8)


def parse_command(parts: Sequence[bytes], *, utf8: bool = False) -> tuple[bytes, bytes, c.Command]:
    """Tag, name and command of one complete command; `utf8` as `Scanner` has it."""
    scan = Scanner(parts, utf8=utf8)
    tag = scan.tag()
    scan.space()
    name = parse_name(scan)
    command = GRAMMAR[name](scan)
    scan.end()
    return tag, name, command
