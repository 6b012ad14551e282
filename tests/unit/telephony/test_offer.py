"""Session descriptions, offers and answers (RFC 8866, RFC 3264)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.telephony.codec import Codecs
from um.telephony.g729 import G729
from um.telephony.offer import Agreed, AgreedT38, MediaNegotiation, NotAcceptableError
from um.telephony.rtp.g711 import G711
from um.telephony.sdp import SdpError, parse_sdp
from um.telephony.t38 import T38Terms
from um.telephony.udptl import ErrorCorrection

PCMU, PCMA = G711
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"


def negotiation(host="192.0.2.1", codecs=G711):
    return MediaNegotiation(host, 20_000, 4711, codecs)


def answer(media, head=HEAD, codecs=G711):
    text, agreed = negotiation(codecs=codecs).answer((head + media).encode())
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
    assert agreed == Agreed(("192.0.2.10", 40_000), PCMA, 8, 101, 20, sends=True, receives=True)
    assert text == (
        "v=0\r\no=- 4711 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        "m=audio 20000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def test_one_channel_may_be_said():
    """RFC 8866 §6.6: `/1` is left out by most and means nothing; keys must not be lost for it."""
    _, agreed = answer(
        "m=audio 40000 RTP/AVP 96 97 98\r\na=rtpmap:96 PCMA/8000/1\r\n"
        "a=rtpmap:97 telephone-event/8000/1\r\na=rtpmap:98 CN/8000/1\r\n"
    )
    assert (agreed.codec, agreed.event_type, agreed.noise_type) == (PCMA, 97, 98)


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
    assert (agreed.remote, agreed.sends, agreed.receives) == (None, False, False)


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


@pytest.mark.parametrize(
    ("asked", "ours"),
    [
        ("", 20),
        ("a=ptime:10", 10),
        ("a=ptime:20", 20),
        ("a=ptime:30", 30),
        ("a=ptime:60", 30),
        ("a=ptime:5", 10),
        ("a=maxptime:10", 10),
        ("a=ptime:30\r\na=maxptime:20", 20),
        ("a=ptime:0", 20),
        ("a=ptime:x", 20),
    ],
)
def test_packets_are_as_long_as_they_ask(asked, ours):
    """10, 20 or 30 ms, said in the answer."""
    text, agreed = answer(
        f"m=audio 4 RTP/AVP 0\r\n{asked}\r\n" if asked else "m=audio 4 RTP/AVP 0\r\n"
    )
    assert agreed.ptime_ms == ours
    assert f"a=ptime:{ours}\r\n" in text


ALL = Codecs((*G711, G729))


@pytest.mark.parametrize(
    ("fmtp", "ours"),
    [
        ("", "annexb=no"),
        ("a=fmtp:18 annexb=no\r\n", "annexb=no"),
        ("a=fmtp:18 annexb=yes\r\n", "annexb=yes"),
        ("a=fmtp:18 ANNEXB = YES; x=1\r\n", "annexb=yes"),
    ],
)
def test_g729_is_answered_with_its_annex(fmtp, ours):
    """Static number 18; annex B only for who asks for it by name (RFC 4856 §2.1.9)."""
    text, agreed = answer(f"m=audio 40000 RTP/AVP 18\r\n{fmtp}", codecs=ALL)
    assert (agreed.codec, agreed.payload_type) == (G729, 18)
    assert f"a=rtpmap:18 G729/8000\r\na=fmtp:18 {ours}\r\n" in text


def test_a_codec_that_keeps_tones_goes_before_one_that_does_not():
    """G.711 if offered at all: a fax or a key in the audio would not survive G.729."""
    assert answer("m=audio 4 RTP/AVP 18 8 0\r\n", codecs=ALL)[1].codec == PCMA


def test_a_codec_by_a_dynamic_number_is_answered_by_that_number():
    text, agreed = answer("m=audio 4 RTP/AVP 96\r\na=rtpmap:96 PCMA/8000/1\r\n")
    assert (agreed.codec, agreed.payload_type) == (PCMA, 96)
    assert "m=audio 20000 RTP/AVP 96\r\na=rtpmap:96 PCMA/8000\r\n" in text


def test_comfort_noise_is_accepted_where_offered():
    """RFC 3389 §4: static 13 or a dynamic number; never offered by us."""
    text, agreed = answer("m=audio 4 RTP/AVP 0 13 101\r\na=rtpmap:101 telephone-event/8000\r\n")
    assert agreed.noise_type == 13
    assert "m=audio 20000 RTP/AVP 0 13 101\r\n" in text
    assert "a=rtpmap:13 CN/8000\r\n" in text
    assert answer("m=audio 4 RTP/AVP 0 98\r\na=rtpmap:98 CN/8000\r\n")[1].noise_type == 98
    assert answer("m=audio 4 RTP/AVP 0\r\n")[1].noise_type is None
    assert b"CN/8000" not in negotiation().offer()


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("a=rtcp:53020", ("192.0.2.10", 53_020)),
        ("a=rtcp:53020 IN IP4 192.0.2.10", ("192.0.2.10", 53_020)),
        ("a=rtcp:53020 IN IP4 203.0.113.9", None),
        ("a=rtcp:0", None),
        ("a=rtcp:99999", None),
        ("a=rtcp:x", None),
        ("a=x", None),
    ],
)
def test_reports_go_where_they_are_wanted_on_the_medias_host(line, place):
    """RFC 3605; a report is never sent to a third party."""
    assert answer(f"m=audio 4 RTP/AVP 0\r\n{line}\r\n")[1].rtcp == place


def test_all_codecs_are_offered_with_their_parameters():
    offer = negotiation(codecs=ALL).offer()
    assert b"m=audio 20000 RTP/AVP 0 8 18 101\r\n" in offer
    assert b"a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n" in offer


def test_our_own_offer_can_be_answered():
    """An INVITE without SDP: both laws and events are offered, the answer is read."""
    ours = negotiation()
    theirs = MediaNegotiation("192.0.2.10", 40_000, 1, G711)
    offer = ours.offer()
    assert b"m=audio 20000 RTP/AVP 0 8 101\r\n" in offer
    reply, _ = theirs.answer(offer)
    assert ours.read_answer(reply) == Agreed(
        ("192.0.2.10", 40_000), PCMU, 0, 101, 20, sends=True, receives=True
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


# ---- T.38

AUDIO = "m=audio 40000 RTP/AVP 0 8\r\n"
IMAGE = "m=image 4000 udptl t38\r\n"
T38 = (
    "a=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxRateManagement:transferredTCF\r\n"
    "a=T38FaxMaxBuffer:2000\r\na=T38FaxMaxDatagram:1400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"
)


def fax_answer(media):
    """What an application that takes T.38 answers."""
    negotiating = negotiation()
    negotiating.takes_t38 = True
    text, agreed = negotiating.answer((HEAD + media).encode())
    return text.decode(), agreed


def media_of(text):
    return text.partition("t=0 0\r\n")[2]


def test_t38_alone_is_taken():
    """T.38 from the start: the answer is ours word for word."""
    text, agreed = fax_answer(IMAGE + T38)
    assert media_of(text) == f"m=image 20000 udptl t38\r\n{T38}"
    assert agreed == AgreedT38(("192.0.2.10", 4000), T38Terms(max_datagram=1400))


@pytest.mark.parametrize("media", [AUDIO + IMAGE, IMAGE + AUDIO])
def test_t38_beside_audio_is_taken_and_the_audio_refused(media):
    """A fax can go by either; T.38 loses nothing on the way."""
    text, agreed = fax_answer(media)
    assert isinstance(agreed, AgreedT38)
    lines = [line for line in text.split("\r\n") if line.startswith("m=")]
    assert sorted(lines) == ["m=audio 0 RTP/AVP 0 8", "m=image 20000 udptl t38"]
    assert lines[0][2:7] == media[2:7]


def test_voice_takes_no_t38():
    """Whoever speaks to a caller takes the audio beside it, and refuses T.38 alone."""
    text, agreed = answer(IMAGE + AUDIO)
    assert isinstance(agreed, Agreed)
    assert "m=image 0 udptl t38\r\n" in text
    with pytest.raises(NotAcceptableError):
        answer(IMAGE)


@pytest.mark.parametrize(
    "image",
    [
        "m=image 4000 tcp t38\r\n",
        "m=image 4000 TCP/TPTL t38\r\n",
        "m=image 0 udptl t38\r\n",
        "m=image 4000 udptl t37\r\n",
    ],
)
def test_other_images_are_refused(image):
    """T.38 over TCP (TPKT, RFC 3362) and what is no T.38: port 0 beside audio, 488 alone."""
    text, agreed = fax_answer(image + AUDIO)
    assert isinstance(agreed, Agreed)
    assert media_of(text).startswith(image.replace("4000", "0"))
    with pytest.raises(NotAcceptableError):
        fax_answer(image)


@pytest.mark.parametrize(
    ("lines", "terms"),
    [
        ("", T38Terms()),
        ("a=T38FaxUdpEC:t38UDPFEC\r\n", T38Terms(correction=ErrorCorrection.FEC)),
        ("a=t38faxudpec:T38UDPNOEC\r\n", T38Terms(correction=ErrorCorrection.NONE)),
        ("a=T38FaxUdpEC:t38UDPMagic\r\n", T38Terms()),
        ("a=T38FaxFillBitRemoval\r\n", T38Terms(fill_bit_removal=True)),
        ("a=T38FaxFillBitRemoval:1\r\n", T38Terms(fill_bit_removal=True)),
        ("a=T38FaxFillBitRemoval:0\r\n", T38Terms()),
        ("a=T38FaxTranscodingMMR:\r\n", T38Terms(transcoding_mmr=True)),
        ("a=t38FaxTranscodingJBIG\r\n", T38Terms(transcoding_jbig=True)),
        ("a=T38FaxRateManagement:localTCF\r\n", T38Terms(local_tcf=True)),
        ("a=T38FaxVersion:3\r\n", T38Terms()),
        ("a=T38MaxBitRate:33600\r\n", T38Terms(max_bit_rate=33_600)),
        ("a=T38MaxBitRate:0\r\na=T38FaxVersion:x\r\n", T38Terms()),
        ("a=T38FaxMaxDatagram:72\r\n", T38Terms(max_datagram=72)),
        ("a=T38FaxMaxDatagram:0\r\n", T38Terms()),
        ("a=T38FaxMaxDatagram:99999999999\r\n", T38Terms()),
    ],
)
def test_attributes_as_the_field_writes_them(lines, terms):
    """Any case, booleans with and without a value; what cannot be read was not said."""
    assert fax_answer(IMAGE + lines)[1] == AgreedT38(("192.0.2.10", 4000), terms)


def test_an_answer_promises_no_more_than_was_offered():
    """Bit rate, error correction, rate management as offered; no transcoding (T.38 Annex D)."""
    text, _ = fax_answer(
        f"{IMAGE}a=T38FaxVersion:3\r\na=T38MaxBitRate:9600\r\na=T38FaxTranscodingMMR\r\n"
        "a=T38FaxRateManagement:localTCF\r\na=T38FaxUdpEC:t38UDPFEC\r\n"
    )
    assert media_of(text) == (
        "m=image 20000 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:9600\r\n"
        "a=T38FaxRateManagement:localTCF\r\na=T38FaxMaxBuffer:2000\r\na=T38FaxMaxDatagram:1400\r\n"
        "a=T38FaxUdpEC:t38UDPFEC\r\n"
    )


def test_our_offer_of_t38_takes_the_place_of_the_audio():
    """RFC 3264 §8: the lines of the session stay, in their order."""
    negotiating = negotiation()
    negotiating.answer(f"{HEAD}m=video 5000 RTP/AVP 31\r\n{AUDIO}".encode())
    negotiating.takes_t38 = True
    assert media_of(negotiating.offer_t38().decode()) == (
        f"m=video 0 RTP/AVP 31\r\nm=image 20000 udptl t38\r\n{T38}"
    )
    answer = f"{HEAD}m=video 0 RTP/AVP 31\r\nm=image 4002 udptl t38\r\na=T38FaxUdpEC:t38UDPFEC\r\n"
    agreed = negotiating.read_answer(answer.encode())
    assert agreed == AgreedT38(("192.0.2.10", 4002), T38Terms(correction=ErrorCorrection.FEC))
    # A re-INVITE without an offer is answered with what the session is by now.
    assert "m=image 20000 udptl t38" in negotiating.offer().decode()
    with pytest.raises(NotAcceptableError):
        negotiating.read_answer(f"{HEAD}m=image 0 udptl t38\r\n".encode())
