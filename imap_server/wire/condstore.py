"""The modifiers of CONDSTORE and QRESYNC as written (RFC 7162 §7, in the frame of RFC 4466)."""

from imap_server.wire import commands as c
from imap_server.wire.sequence import SequenceSet
from imap_server.wire.tokens import BadCommandError, Scanner


def select_parameters(scan: Scanner) -> tuple[bool, c.Known | None]:
    """SELECT's ` (CONDSTORE)` and ` (QRESYNC (uidvalidity modseq [uids [(numbers uids)]]))`."""
    if not scan.skip(b" "):
        return False, None
    condstore, known = False, None
    for _ in scan.each():
        word = scan.keyword()
        if word == b"QRESYNC":
            scan.space()
            known = _known(scan)
        elif word == b"CONDSTORE":
            condstore = True
        else:
            raise BadCommandError("Unknown SELECT parameter")
    return condstore, known


def _known(scan: Scanner) -> c.Known:
    scan.expect(b"(")
    uidvalidity = scan.nz_number()
    scan.space()
    modseq = scan.mod_sequence()
    uids = None
    if scan.skip(b" "):
        if not scan.next_is(b"("):
            uids = _uids(scan)
        if uids is None or scan.skip(b" "):
            # Numbers with their UIDs would shorten an answer that tombstones make exact already.
            scan.expect(b"(")
            scan.sequence_set()
            scan.space()
            scan.sequence_set()
            scan.expect(b")")
    scan.expect(b")")
    return c.Known(uidvalidity, modseq, uids)


def _uids(scan: Scanner) -> SequenceSet:
    uids = scan.sequence_set()
    if uids.saved or uids.has_star():
        raise BadCommandError("Known UIDs are written as numbers")
    return uids


def fetch_modifiers(scan: Scanner) -> tuple[int | None, bool]:
    """FETCH's ` (CHANGEDSINCE modseq VANISHED)`; VANISHED says nothing without CHANGEDSINCE."""
    if not scan.skip(b" "):
        return None, False
    since, vanished = None, False
    for _ in scan.each():
        word = scan.keyword()
        if word == b"CHANGEDSINCE":
            scan.space()
            since = scan.mod_sequence()
        elif word == b"VANISHED":
            vanished = True
        else:
            raise BadCommandError("Unknown FETCH modifier")
    if vanished and since is None:
        raise BadCommandError("VANISHED needs CHANGEDSINCE")
    return since, vanished


def store_modifier(scan: Scanner) -> int | None:
    """STORE's ` (UNCHANGEDSINCE modseq)`."""
    if not scan.skip(b" ("):
        return None
    if scan.keyword() != b"UNCHANGEDSINCE":
        raise BadCommandError("Unknown STORE modifier")
    scan.space()
    since = scan.mod_sequence()
    scan.expect(b")")
    return since
