"""LIST, LSUB, STATUS as written (RFC 3501 §6.3.8-10, RFC 5258 §6, RFC 5819 §4, RFC 6154 §6)."""

from imap_server.wire import commands as c
from imap_server.wire.names import decoded, mailbox
from imap_server.wire.tokens import BadCommandError, Scanner

STATUS_ITEMS = frozenset(
    {
        "MESSAGES",
        "RECENT",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "SIZE",
        "DELETED",
        "DELETED-STORAGE",
        "APPENDLIMIT",
        "HIGHESTMODSEQ",
        "MAILBOXID",
    }
)
_SELECTION = frozenset({"SPECIAL-USE", "SUBSCRIBED", "REMOTE", "RECURSIVEMATCH"})
_RETURN = frozenset({"SPECIAL-USE", "SUBSCRIBED", "CHILDREN", "STATUS"})
MAX_PATTERNS = 100


def parse_list(scan: Scanner) -> c.List:
    """With any of RFC 5258's signs (options, several patterns, RETURN) the command is extended."""
    scan.space()
    start = scan.next_is(b"(")
    selection = _selection(scan) if start else frozenset[str]()
    reference = decoded(scan, scan.astring())
    scan.space()
    several = scan.next_is(b"(")
    patterns = scan.listed(scan.list_mailbox) if several else [scan.list_mailbox()]
    if len(patterns) > MAX_PATTERNS:
        raise BadCommandError("Too many patterns")
    returned: frozenset[str] = frozenset()
    items: tuple[str, ...] = ()
    extended = start or several
    if scan.skip(b" RETURN "):
        returned, items = _returned(scan)
        extended = True
    return c.List(
        reference,
        tuple(dict.fromkeys(decoded(scan, pattern) for pattern in patterns)),
        selection=selection,
        returned=returned,
        status_items=items,
        extended=extended,
    )


def _selection(scan: Scanner) -> frozenset[str]:
    options = frozenset(_keyword(scan) for _ in scan.each(empty=True))
    scan.space()
    if options - _SELECTION:
        raise BadCommandError("Unknown LIST selection option")
    if "RECURSIVEMATCH" in options and not options & {"SUBSCRIBED", "SPECIAL-USE"}:
        raise BadCommandError("RECURSIVEMATCH needs a selection option besides it")
    return options


def _returned(scan: Scanner) -> tuple[frozenset[str], tuple[str, ...]]:
    options: set[str] = set()
    items: tuple[str, ...] = ()
    for _ in scan.each(empty=True):
        option = _keyword(scan)
        if option not in _RETURN:
            raise BadCommandError("Unknown LIST return option")
        if option == "STATUS":
            scan.space()
            items = status_items(scan)
        options.add(option)
    return frozenset(options), items


def _keyword(scan: Scanner) -> str:
    return scan.keyword().decode("ascii")


def parse_lsub(scan: Scanner) -> c.Lsub:
    """RFC 3501 §6.3.9."""
    scan.space()
    reference = decoded(scan, scan.astring())
    scan.space()
    return c.Lsub(reference, decoded(scan, scan.list_mailbox()))


def status_items(scan: Scanner) -> tuple[str, ...]:
    """The items of STATUS, each once, in the order asked for."""
    items = dict.fromkeys(_keyword(scan) for _ in scan.each())
    if not STATUS_ITEMS.issuperset(items):
        raise BadCommandError("Unknown STATUS item")
    return tuple(items)


def parse_status(scan: Scanner) -> c.Status:
    """RFC 3501 §6.3.10."""
    scan.space()
    name = mailbox(scan)
    scan.space()
    return c.Status(name, status_items(scan))
