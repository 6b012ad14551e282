"""Who a message is from, as people read it: a stranger's words, made one line. Pure."""

from um.mime.addresses import parse_addresses
from um.mime.charsets import decode_octets
from um.mime.clean import clean_text
from um.mime.fields import Fields
from um.mime.headers import decode_text

MAX_ADDRESS = 320


def first_author(fields: Fields) -> tuple[str, str]:
    """Name and address of the first author (From); the name may stand for the address, both be empty."""
    for each in parse_addresses(fields.first(b"from") or b""):
        if each.mailbox is None or each.host is None:
            continue
        octets = b"%b@%b" % (each.mailbox, each.host)
        address = clean_text(decode_octets(octets, None), MAX_ADDRESS)
        return clean_text(decode_text(each.name or b"")) or address, address
    return "", ""
