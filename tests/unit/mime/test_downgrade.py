"""What clients are told of 8-bit headers if they know none: 7-bit, readable, and nobody's address."""

from email.header import decode_header, make_header

from hypothesis import given
from hypothesis import strategies as st

from um.mime.downgrade import envelope_in_ascii, in_ascii, structure_in_ascii
from um.mime.scan import scan


@given(st.text().filter(lambda text: not text.isascii()))
def test_words_say_the_text_again(text):
    """Encoded words, each at most 75 characters, give the text back."""
    sure = text.encode("utf-8", "ignore").decode("utf-8")
    words = in_ascii(sure.encode())
    assert words.isascii()
    assert all(len(word) <= 75 for word in words.split(b" "))
    if not sure.isascii():
        assert str(make_header(decode_header(words.decode()))) == sure


@given(st.binary(max_size=300))
def test_any_header_becomes_an_envelope_of_seven_bits(header):
    """Whatever the octets; literals are as long as they say."""
    assert envelope_in_ascii(b"Subject: \xff\r\nTo: " + header + b"\r\n\r\n").isascii()


@given(st.binary(max_size=80))
def test_any_structure_becomes_one_of_seven_bits(name):
    raw = b'Content-Type: text/plain; name="' + name + b'"\r\n\r\n'
    scanned = scan(raw)
    told = structure_in_ascii(scanned.bodystructure)
    assert told.isascii()
    if scanned.bodystructure.isascii():
        assert told == scanned.bodystructure


def test_addresses_have_a_domain_that_can_be_looked_up_or_lead_nowhere():
    """A domain has its A-labels; a local part beyond US-ASCII has no other spelling."""
    header = "From: Zoë <zoe@bücher.example>, jürgen@a.example\r\nTo: b@x\r\n\r\n".encode()
    sender = (
        b'(("=?utf-8?b?Wm/Dqw==?=" NIL "zoe" "xn--bcher-kva.example")'
        b'("=?utf-8?b?asO8cmdlbkBhLmV4YW1wbGU=?=" NIL "invalid"'
        b' "internationalized-address.invalid"))'
    )
    expected = b"(NIL NIL " + b" ".join([sender] * 3) + b' ((NIL NIL "b" "x")) NIL NIL NIL NIL)'
    assert envelope_in_ascii(header) == expected


def test_file_names_are_told_in_words():
    raw = 'Content-Type: application/pdf; name="Reçu.pdf"\r\n\r\n'.encode()
    told = structure_in_ascii(scan(raw).bodystructure)
    assert b'("name" "=?utf-8?b?UmXDp3UucGRm?=")' in told
