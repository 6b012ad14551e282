"""Session descriptions, offers and answers (RFC 8866, RFC 3264)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.telephony.offer import Agreed, MediaNegotiation, NotAcceptableError
from um.telephony.sdp import SdpError, parse_sdp

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"


def negotiation(host="192.0.2.1"):
    return MediaNegotiation(host, 20_000, 4711)


def answer(media, head=HEAD):
    text, agreed = negotiation().answer((head + media).encode())
    return text.decode(), agreed


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: b"v=0\r\n" + text.encode()))
def test_any_octets_give_a_description_or_the_one_error(data):
    """Hostile SDP raises nothing but the two words of this border."""
    try:
        negotiation().answer(data)
    except (SdpError, NotAcceptableError):
        return


def test_the_first_law_of_the_offer_is_taken():
    """The offerer's order is its preference (RFC 3264 §6.1)."""
    text, agreed = answer(
        "m=audio 40000 RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
    )
    assert agreed == Agreed(("192.0.2.10", 40_000), 8, 101, 20, sends=True, receives=True)
    assert text == (
        "v=0\r\no=- 4711 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        "m=audio 20000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def test_no_events_are_answered_when_none_were_offered():
    text, agreed = answer("m=audio 40000 RTP/AVP 0\r\n")
    assert agreed.event_type is None
    assert "m=audio 20000 RTP/AVP 0\r\n" in text


def test_media_lines_keep_their_order_and_the_others_are_refused():
    """RFC 3264 §6: as many m= lines as offered, port 0 for what is not wanted."""
    text, _ = answer(
        "m=video 5000 RTP/AVP 31\r\nm=audio 40000 RTP/SAVP 0\r\nm=audio 40002 RTP/AVP 0\r\n"
        "m=audio 40004 RTP/AVP 8\r\nm=image 4000 udptl t38\r\n"
    )
    lines = [line for line in text.split("\r\n") if line.startswith("m=")]
    assert lines == [
        "m=video 0 RTP/AVP 31",
        "m=audio 0 RTP/SAVP 0",
        "m=audio 20000 RTP/AVP 0",
        "m=audio 0 RTP/AVP 8",
        "m=image 0 udptl t38",
    ]


@pytest.mark.parametrize(
    "media",
    [
        "",
        "m=audio 0 RTP/AVP 0\r\n",
        "m=audio 40000 RTP/AVP 18\r\n",
        "m=image 4000 udptl t38\r\n",
        "m=audio 40000 RTP/SAVP 0\r\n",
        "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 G726-32/8000\r\n",
    ],
)
def test_an_offer_that_fits_nowhere_is_488(media):
    with pytest.raises(NotAcceptableError):
        answer(media)


@pytest.mark.parametrize(
    ("theirs", "ours", "sends", "receives"),
    [
        ("sendrecv", "sendrecv", True, True),
        ("sendonly", "recvonly", False, True),
        ("recvonly", "sendonly", True, False),
        ("inactive", "inactive", False, False),
    ],
)
def test_directions_are_mirrored(theirs, ours, sends, receives):
    """RFC 3264 §6.1, also when the direction stands in the session part."""
    for text, agreed in (
        answer(f"m=audio 40000 RTP/AVP 0\r\na={theirs}\r\n"),
        answer("m=audio 40000 RTP/AVP 0\r\n", head=f"{HEAD}a={theirs}\r\n"),
    ):
        assert text.endswith(f"a={ours}\r\n")
        assert (agreed.sends, agreed.receives) == (sends, receives)


def test_old_hold_is_understood():
    """RFC 3264 §8.4: c=0.0.0.0 means do not send."""
    _, agreed = answer("m=audio 40000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n")
    assert (agreed.remote, agreed.sends) == (None, False)


def test_a_connection_of_the_media_goes_before_the_sessions():
    _, agreed = answer("m=audio 40000 RTP/AVP 0\r\nc=IN IP4 198.51.100.4\r\n")
    assert agreed.remote == ("198.51.100.4", 40_000)


def test_a_host_name_means_wherever_it_comes_from():
    """No DNS: we still may send, once the source is known."""
    _, agreed = answer("m=audio 40000 RTP/AVP 0\r\nc=IN IP4 media.example.net\r\n")
    assert (agreed.remote, agreed.sends) == (None, True)


def test_ipv6():
    head = "v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\n"
    text, agreed = negotiation("2001:db8::1").answer(f"{head}m=audio 4 RTP/AVP 0\r\n".encode())
    assert agreed.remote == ("::1", 4)
    assert b"c=IN IP6 2001:db8::1\r\n" in text


def test_short_packets_for_who_can_take_no_longer():
    assert answer("m=audio 4 RTP/AVP 0\r\na=maxptime:10\r\n")[1].ptime_ms == 10
    assert answer("m=audio 4 RTP/AVP 0\r\na=ptime:30\r\n")[1].ptime_ms == 20


def test_our_own_offer_can_be_answered():
    """An INVITE without SDP: both laws and events are offered, the answer is read."""
    ours = negotiation()
    theirs = MediaNegotiation("192.0.2.10", 40_000, 1)
    offer = ours.offer()
    assert b"m=audio 20000 RTP/AVP 0 8 101\r\n" in offer
    reply, _ = theirs.answer(offer)
    assert ours.read_answer(reply) == Agreed(
        ("192.0.2.10", 40_000), 0, 101, 20, sends=True, receives=True
    )


def test_each_description_has_a_higher_version():
    """RFC 3264 §8."""
    ours = negotiation()
    offer = f"{HEAD}m=audio 40000 RTP/AVP 0\r\n".encode()
    versions = [ours.answer(offer)[0].split(b" ")[2] for _ in range(3)]
    assert versions == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"v=1\r\n",
        b"v=0\r\nm=audio\r\n",
        b"v=0\r\nm=audio 99999 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio -1 RTP/AVP 0\r\n",
        b"v=0\r\nc=IN IP4\r\nm=audio 1 RTP/AVP 0\r\n",
        b"v=0\r\nnonsense\r\n",
        b"v=0\r\n" + b"a=x\r\n" * 2000,
        b"v=0\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * 50,
    ],
)
def test_malformed_descriptions_are_refused(data):
    with pytest.raises(SdpError):
        parse_sdp(data)
