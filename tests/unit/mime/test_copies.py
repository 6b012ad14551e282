"""Documents in messages, reports of failure, and mails for servers of seven bits."""

from email import message_from_bytes
from email.policy import default

from hypothesis import given
from hypothesis import strategies as st

from um.mime.attachments import content, documents, parts_to_copy, plain_text
from um.mime.build import CopyFacts, copy_message
from um.mime.report import read_report
from um.mime.seven_bit import seven_bit

NESTED = (
    b"Subject: x\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n"
    b"--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    b"--b\r\n\r\nwords\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n"
    b'--a\r\nContent-Type: application/pdf; name="../../x y.pdf"\r\n'
    b"Content-Transfer-Encoding: BASE64\r\n\r\nQUJD\r\n"
    b"--a\r\nContent-Disposition: attachment; filename=n.txt\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n--a--\r\n"
)


def test_documents_of_a_nested_message():
    """What is no text, and what says that it is attached; decoded, under a safe name."""
    found = documents(NESTED)
    assert [(d.path, d.filename, d.media_type) for d in found] == [
        ((2,), "x-y.pdf", "application/pdf"),
        ((3,), "n.txt", "text/plain"),
    ]
    assert [content(NESTED, d) for d in found] == [b"ABC", "é".encode()]


def test_parts_are_copied_octet_for_octet():
    """Of a mixed message its parts; any other is one part, with the fields that tell what it is."""
    parts = parts_to_copy(NESTED, without_text=False)
    assert len(parts) == 3
    assert all(part in NESTED for part in parts)
    assert parts_to_copy(NESTED, without_text=True) == parts[1:]
    single = b"Subject: x\r\nContent-Type: text/html\r\nX-Y: z\r\n\r\n<p>\r\n"
    assert parts_to_copy(single, without_text=False) == [b"Content-Type: text/html\r\n\r\n<p>\r\n"]


@given(st.binary(max_size=400))
def test_any_octets_are_a_message(data):
    """Nothing raises, whatever comes; what is said of it is safe."""
    for document in documents(data):
        content(data, document)
        assert document.filename.isascii()
        assert document.media_type.isascii()
    parts_to_copy(data, without_text=True)
    plain_text(data)
    read_report(data)


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=200))
def test_no_text_begins_a_field(name, subject, text):
    """Whatever a caller is called: the fields of a copy are those that we write, each once."""
    facts = CopyFacts(
        id="a" * 32,
        sender="noreply@um.example.net",
        sender_name=name,
        recipient="anna@example.org",
        at=_noon(),
        subject=subject,
        text=text,
        html=text,
        delivered_to="alice@um.example.net",
    )
    data = copy_message(facts)
    message = message_from_bytes(data, policy=default)
    assert message.keys() == [
        "Delivered-To",
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "MIME-Version",
        "Content-Type",
    ]
    assert message["From"].addresses[0].addr_spec == "noreply@um.example.net"
    assert data.isascii()
    assert not message.defects


def _noon():
    from tests.support.clock import NOON

    return NOON


DSN = (
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
    b"--b\r\n\r\nwords\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; x\r\n\r\n%s\r\n\r\n--b--\r\n"
)


def test_reports():
    """The recipient that failed counts, among several too; a delay is none; a letter is no report."""
    failed = b"Final-Recipient: rfc822; a@b\r\nAction: Failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no"
    late = b"Action: delayed\r\nStatus: 4.4.1"
    report = read_report(DSN % (late + b"\r\n\r\n" + failed))
    assert report is not None
    assert (report.action, report.status, report.diagnostic) == ("failed", "5.1.1", "smtp; 550 no")
    assert report.is_final_failure
    delayed = read_report(DSN % late)
    assert delayed is not None
    assert not delayed.is_final_failure
    assert read_report(DSN % b"X: y") is None
    assert read_report(NESTED) is None


def test_seven_bits():
    """The same text comes out of it, and no octet is above 127."""
    data = (
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\nÄrger\r\n"
    ).encode()
    encoded = seven_bit(data)
    assert encoded.isascii()
    assert message_from_bytes(encoded, policy=default).get_content().strip() == "Ärger"
