"""The messages that we write: as agreed, readable by others, and immune to what callers send."""

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from um.mime.build import (
    AudioFormat,
    FaxFacts,
    NoticeFacts,
    VoiceFacts,
    fax_message,
    notice_message,
    voice_message,
)
from um.mime.headers import decode_text, get
from um.mime.scan import scan

AT = datetime(2026, 11, 23, 2, 15, tzinfo=UTC)
NASTY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from('\r\n\0\u202e\u2028\x85<>@"\\,;:()=?'),
    ),
    max_size=120,
)


def voice(**more: object) -> VoiceFacts:
    facts = {
        "id": "0123456789abcdef" * 2,
        "domain": "um.example.net",
        "recipient": "+15557654321",
        "received_at": AT,
        "timezone": "America/Toronto",
        "duration_seconds": 41.6,
        "audio": bytes(range(256)) * 40,
        "caller_number": "+15551234567",
        "caller_name": "Anna",
        **more,
    }
    return VoiceFacts(**facts)  # type: ignore[arg-type]


def fax(**more: object) -> FaxFacts:
    facts = {
        "id": "ab" * 16,
        "domain": "um.example.net",
        "recipient": "alice",
        "received_at": AT,
        "timezone": "America/Toronto",
        "pages": 3,
        "pdf": b"%PDF-1.4" * 300,
        "caller_number": "+15551234567",
        **more,
    }
    return FaxFacts(**facts)  # type: ignore[arg-type]


def parsed(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert not part.defects
    return message


def test_a_voice_message() -> None:
    """Every field of the agreed layout, read back by Python's parser."""
    message = parsed(voice_message(voice(call_id="c1@pbx", redirect_cause="busy", urgent=True)))
    assert {name: str(message[name]) for name in message} == {
        "From": "Anna <+15551234567@um.example.net>",
        "To": "+15557654321@um.example.net",
        "Subject": "Voice message from Anna, +1 555 123 4567 (0:42)",
        "Date": "Sun, 22 Nov 2026 21:15:00 -0500",
        "Message-ID": "<voice.0123456789abcdef0123456789abcdef@um.example.net>",
        "Message-Context": "voice-message",
        "Content-Duration": "42",
        "Importance": "High",
        "X-Priority": "1",
        "Content-Class": "voice-ca",
        "X-CallingTelephoneNumber": "+15551234567",
        "X-VoiceMessageDuration": "42",
        "X-VoiceMessageSenderName": "Anna",
        "X-UM-Kind": "voice",
        "X-UM-Call-ID": "c1@pbx",
        "X-UM-Redirect-Cause": "busy",
        "MIME-Version": "1.0",
        "Content-Type": 'multipart/mixed; boundary="=_um_0123456789abcdef0123456789abcdef"',
    }
    text, audio = message.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert "Anna, +1 555 123 4567" in text.get_content()
    assert "2026-11-22 21:15 EST" in text.get_content()
    assert audio.get_content_type() == "audio/mpeg"
    assert audio.get_filename() == "voice-20261123T021500Z-15551234567.mp3"
    assert audio["Content-Disposition"].params["voice"] == "Voice-Message"
    assert (audio["Content-Duration"], audio["Content-Description"]) == ("42", "Voice message")
    assert audio.get_content() == bytes(range(256)) * 40


def test_variants_of_a_voice_message() -> None:
    """WAV, anonymous, not urgent, a transcript instead of the facts; never 0 seconds."""
    facts = voice(
        audio_format=AudioFormat.WAV,
        caller_number="",
        caller_name="anonymous",
        duration_seconds=0.2,
        transcript="Grüße aus Köln,\nruf mich an",
    )
    message = parsed(voice_message(facts))
    text, audio = message.iter_parts()
    assert message["From"].addresses[0].addr_spec == "anonymous@um.example.net"
    assert message["Subject"] == "Voice message from anonymous (0:01)"
    assert message["Importance"] is None
    assert text.get_content() == "Grüße aus Köln,\r\nruf mich an"
    assert audio.get_content_type() == "audio/wav"
    assert audio.get_filename() == "voice-20261123T021500Z-anonymous.wav"


def test_a_fax_message() -> None:
    """Subject by station, pages, one PDF; what is known of the session in the text."""
    facts = fax(station_id="+49 30 1234", resolution="fine", rate_bps=14400, ecm=True, result="OK")
    message = parsed(fax_message(facts))
    text, document = message.iter_parts()
    assert message["Subject"] == "Fax from +49 30 1234, 3 pages"
    assert message["Message-Context"] == "fax-message"
    assert (message["Content-Class"], message["X-FaxNumberOfPages"]) == ("fax-ca", "3")
    assert message["X-UM-Kind"] == "fax"
    assert document.get_content_type() == "application/pdf"
    assert document.get_filename() == "fax-20261123T021500Z-15551234567-3p.pdf"
    assert document.get_content() == b"%PDF-1.4" * 300
    for line in ("Pages: 3 pages", "Rate: 14400 bit/s", "Error correction: yes", "Result: OK"):
        assert line in text.get_content()


def test_a_partial_fax_says_so() -> None:
    """In the subject and in the text, with what was expected if that is known."""
    known = parsed(fax_message(fax(pages=2, pages_expected=5, note="Page 3 did not decode.")))
    assert known["Subject"] == "Fax from +1 555 123 4567, partial, 2 of 5 pages received"
    text = next(iter(known.iter_parts())).get_content()
    assert "This fax is incomplete" in text
    assert "Page 3 did not decode." in text
    unknown = parsed(fax_message(fax(pages=1, partial=True)))
    assert unknown["Subject"] == "Fax from +1 555 123 4567, partial, 1 page received"


def test_bad_lines_and_the_text_of_the_pages() -> None:
    """Counted by page in a field and in the text; what was read is in the text part."""
    facts = fax(
        pages=3,
        page_numbers=(1, 2, 4),
        bad_lines=(0, 12, 3),
        page_texts={1: "Rechnung Nr. 4711\nGrüße", 4: "Page four"},
    )
    message = parsed(fax_message(facts))
    assert message["X-UM-Fax-Bad-Lines"] == "0, 12, 3"
    text = next(iter(message.iter_parts())).get_content().replace("\r\n", "\n")
    assert "Bad lines: 12 on page 2, 3 on page 4" in text
    assert "[Page 1]\nRechnung Nr. 4711\nGrüße\n\n[Page 4]\nPage four" in text
    clean = parsed(fax_message(fax(bad_lines=(0, 0, 0))))
    assert "Bad lines: none" in next(iter(clean.iter_parts())).get_content()
    unknown = parsed(fax_message(fax()))
    assert unknown["X-UM-Fax-Bad-Lines"] is None
    assert "Bad lines" not in next(iter(unknown.iter_parts())).get_content()


@pytest.mark.parametrize(
    "hostile",
    [
        "1\r\nBcc: everyone@example.net",
        "\0\x1b[2J",
        "\u202e\u2066fdp.exe",
        "9" * 5000,
        "../../etc/passwd",
        "=?utf-8?q?=0d=0aX:_y?=",
        '"; filename="x.exe',
        "<script>alert(1)</script>",
    ],
)
def test_what_a_station_calls_itself_stays_a_value(hostile) -> None:
    """TSI, name and number: never a field of their own, never a control, never in a file name."""
    facts = fax(station_id=hostile, caller_name=hostile, caller_number=hostile)
    raw = fax_message(facts)
    header, _, _ = raw.partition(b"\r\n\r\n")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert not (set(range(32)) - {10, 13}) & set(header)
    message = parsed(raw)
    assert message.keys() == parsed(fax_message(fax(station_id="1"))).keys()
    _, document = message.iter_parts()
    assert re.fullmatch(r"fax-20261123T021500Z-[A-Za-z0-9._+-]+-3p\.pdf", document.get_filename())
    assert len(document.get_filename()) <= 110
    for value in (str(message["Subject"]), str(message["From"])):
        assert not re.search(r"[\x00-\x1f\u202a-\u202e\u2066-\u2069]", value)


def test_a_notice() -> None:
    """A plain message, marked as automatic."""
    facts = NoticeFacts(
        id="n1",
        domain="um.example.net",
        recipient="alice",
        at=AT,
        subject="Mailbox 80 % full",
        text="Löschen Sie etwas.\n\n" + "word " * 40,
    )
    message = parsed(notice_message(facts))
    assert message["Auto-Submitted"] == "auto-generated"
    assert (message["X-UM-Kind"], message["Subject"]) == ("notice", "Mailbox 80 % full")
    assert message.get_content().startswith("Löschen Sie etwas.\r\n\r\nword word")


def check_shape(data: bytes) -> None:
    """CRLF only, 7-bit, lines of at most 998, and of 78 wherever there is a space to fold at."""
    data.decode("ascii")
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
    assert b"\0" not in data
    for line in data.split(b"\r\n"):
        assert len(line) <= 998
        assert len(line) <= 78 or b" " not in line.partition(b": ")[2].strip()


FIELDS_OF_VOICE = list(parsed(voice_message(voice(call_id="x", redirect_cause="y"))))


@settings(max_examples=150)
@given(NASTY, NASTY, NASTY, NASTY, NASTY)
def test_nothing_can_be_injected_into_a_voice_message(
    name: str, number: str, recipient: str, call_id: str, transcript: str
) -> None:
    """Whatever the network says, the fields are ours, in our order, and the parts are two."""
    facts = voice(
        caller_name=name,
        caller_number=number,
        recipient=recipient,
        recipient_name=name,
        call_id=call_id + "x",
        redirect_cause=name + "y",
        transcript=transcript,
    )
    data = voice_message(facts)
    check_shape(data)
    assert data == voice_message(facts)
    header = scan(data).header
    names = [
        line.partition(b":")[0].decode()
        for line in header.split(b"\r\n")
        if line[:1] not in (b"", b" ")
    ]
    assert names == FIELDS_OF_VOICE
    assert "\u202e" not in decode_text(get(header, "From") or b"")
    assert scan(data).bodystructure.count(b'"boundary"') == 1
    assert scan(data).body.startswith(b'(("text" "plain"')
    assert scan(data).body.endswith(b'"base64" 14014) "mixed")')


@settings(max_examples=100)
@given(NASTY, NASTY, NASTY, NASTY)
def test_nothing_can_be_injected_into_a_fax(
    name: str, number: str, station: str, note: str
) -> None:
    """Station ids are as hostile as names."""
    data = fax_message(
        fax(caller_name=name, caller_number=number, station_id=station, note=note, result=name)
    )
    check_shape(data)
    message = message_from_bytes(data, policy=default)
    assert message["Message-Context"] == "fax-message"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "application/pdf",
    ]


@given(NASTY, NASTY)
def test_nothing_can_be_injected_into_a_notice(subject: str, text: str) -> None:
    """A notice quotes names of documents, which come from outside."""
    data = notice_message(
        NoticeFacts(id="1", domain="d.example", recipient="a", at=AT, subject=subject, text=text)
    )
    check_shape(data)
    assert len(list(message_from_bytes(data, policy=default).keys())) == len(
        [line for line in scan(data).header.split(b"\r\n") if line and line[:1] != b" "]
    )


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=80))
@example(" ")
def test_names_come_back(name: str) -> None:
    """A caller's name survives the way through the header, whatever script it is in."""
    wanted = " ".join(name.split())
    envelope_name = decode_text(
        get(voice_message(voice(caller_name=name)), "X-VoiceMessageSenderName") or b""
    )
    assert envelope_name == (wanted or "anonymous")
