"""The relay client against a real SMTP server whose line breaks at every place."""

import asyncio
import ssl
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.certificate import self_signed
from tests.support.mail_sink import SILENT, TAKEN, Fault, MailSink, outgoing
from um.config.relay import parse_relay
from um.core.errors import RelayDeferredError, RelayRefusedError
from um.smtp.dot import DotReader, has_bare_newline, stuffed
from um.smtp.outbound import SmtpRelay

DEFERRED = {
    Fault.BUSY_AT_GREETING: "421",
    Fault.DEFERRED_RCPT: "450 4.2.1 Greylisted",
    Fault.DEFERRED: "451 4.3.0 Later",
    Fault.CUT_BEFORE_DOT: "No answer",
    Fault.CUT_AFTER_DOT: "No answer after the end of the mail",
    Fault.SILENT_RCPT: "did not answer in time",
    Fault.SILENT_AFTER_DOT: "No answer after the end of the mail",
}
REFUSED = {
    Fault.REFUSED_MAIL: "552 5.3.4 Too big",
    Fault.REFUSED_RCPT: "550 5.1.1 No such user",
    Fault.REFUSED: "554 5.7.1 Spam",
}


class Counts:
    """Metrics that remember."""

    def __init__(self):
        self.counted = Counter()

    def count(self, name, amount=1):
        self.counted[name] += amount

    def observe(self, name, value):
        """Not looked at."""

    gauge = observe


def send(url, mail=None, *, tls=None, metrics=None, **patience):
    relay = SmtpRelay(parse_relay(url), "um.example.net", tls=tls, metrics=metrics, **patience)
    asyncio.run(relay.send(mail or outgoing()))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A server context, and a client's that trusts it."""
    files = self_signed(tmp_path_factory.mktemp("certificate"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*files)
    return server, ssl.create_default_context(cafile=str(files[0]))


def test_a_mail_arrives_as_it_is():
    """Envelope and octets are those that were given, dots at line starts among them."""
    with MailSink() as sink:
        data = b"Subject: x\r\n\r\n.\r\n..two\r\nend"
        send(sink.url, outgoing(data))
        (mail,) = sink.arrived
    assert (mail.sender, mail.recipients) == ("bounce+1@um.example.net", ["anna@example.org"])
    assert mail.data.rstrip(b"\r\n") == data
    assert not mail.tls


@pytest.mark.parametrize("fault", DEFERRED)
def test_what_may_pass_is_deferred(fault):
    """4xx, and a line that breaks before or after the final dot: try again; it says why."""
    with MailSink() as sink:
        sink.script.append(fault)
        metrics = Counts()
        patience = {"command_seconds": 0.3, "final_seconds": 0.3} if fault in SILENT else {}
        with pytest.raises(RelayDeferredError, match=DEFERRED[fault]):
            send(sink.url, metrics=metrics, **patience)
        assert len(sink.arrived) == (fault in TAKEN)
        assert metrics.counted == {"relay_deferred": 1}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_will_not_pass_is_refused(fault):
    """5xx to MAIL, RCPT or the mail is for good, in the relay's own words."""
    with MailSink() as sink:
        sink.script.append(fault)
        with pytest.raises(RelayRefusedError, match=REFUSED[fault]):
            send(sink.url)
        assert sink.arrived == []


def test_what_comes_after_250_means_nothing():
    """A reset after the relay's 250: the mail is taken, and nobody sends it again."""
    with MailSink() as sink:
        sink.script.append(Fault.RESET_AFTER_250)
        send(sink.url)
        assert len(sink.arrived) == 1


def test_a_relay_that_is_down_is_deferred():
    """Nobody listens there."""
    with MailSink() as sink:
        url = sink.url
    with pytest.raises(RelayDeferredError):
        send(url)


def test_starttls_is_taken_where_it_is_offered(certificate):
    """Even with a certificate that nobody knows: better than nothing; nobody asked for more."""
    server, _ = certificate
    with MailSink(tls=server) as sink:
        send(sink.url)
        assert sink.arrived[0].tls


def test_starttls_that_is_required_is_checked(certificate):
    """Without it, or with a certificate that is not trusted, nothing is sent: the mail waits."""
    server, client = certificate
    with MailSink(tls=server) as sink:
        with pytest.raises(RelayDeferredError):
            send(f"{sink.url}?starttls=required")
        send(f"{sink.url}?starttls=required", tls=client)
        assert [each.tls for each in sink.arrived] == [True]
    with MailSink() as sink:
        with pytest.raises(RelayDeferredError):
            send(f"{sink.url}?starttls=required", tls=client)
        assert sink.arrived == []


def test_smtps_with_a_password(certificate):
    """TLS from the first octet, and AUTH; a wrong password is no fault of the mail."""
    server, client = certificate
    with MailSink(tls=server, implicit=True, login=("um", "s:cret")) as sink:
        send(f"smtps://um:s%3Acret@127.0.0.1:{sink.port}", tls=client)
        assert (sink.arrived[0].login, sink.arrived[0].tls) == ("um", True)
        with pytest.raises(RelayDeferredError, match="535"):
            send(f"smtps://um:wrong@127.0.0.1:{sink.port}", tls=client)
        with pytest.raises(RelayDeferredError, match="530"):
            send(f"smtps://127.0.0.1:{sink.port}", tls=client)
        with pytest.raises(RelayDeferredError):
            send(f"smtps://um:s%3Acret@127.0.0.1:{sink.port}")
        assert len(sink.arrived) == 1


def test_eight_bits_are_declared():
    """An 8-bit mail goes as BODY=8BITMIME where that is offered, octet for octet."""
    with MailSink() as sink:
        data = "Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\nÄrger\r\n".encode()
        send(sink.url, outgoing(data))
        assert sink.arrived[0].data == data


@given(st.binary(max_size=300) | st.text(".\r\nab", max_size=60).map(str.encode))
def test_nothing_in_a_mail_ends_it(data):
    """What follows DATA is the whole mail and its end, and nothing of it is taken for a command."""
    sent = stuffed(data)
    reader = DotReader(10_000)
    assert reader.feed(sent) == b""
    taken = reader.take_message()
    assert not has_bare_newline(taken)
    if not has_bare_newline(data):
        assert taken.removesuffix(b"\r\n") == data.removesuffix(b"\r\n")


def test_relay_urls():
    """What an operator may write, and what is refused without showing it."""
    plain = parse_relay("smtp://mail.example.net")
    assert (plain.host, plain.port, plain.needs_tls) == ("mail.example.net", 25, False)
    assert parse_relay("smtps://mail.example.net").port == 465
    login = parse_relay("smtp://u%40x:p%2Fw@mail.example.net:587")
    assert (login.username, login.password, login.needs_tls) == ("u@x", "p/w", True)
    assert "p/w" not in repr(login)
    assert not parse_relay("smtp://u:p@127.0.0.1:25").needs_tls
    for wrong in (
        "http://x",
        "smtp://",
        "smtp://h:99999",
        "smtp://u@h",
        "smtp://h?x=1",
        "smtp://h/p",
    ):
        with pytest.raises(ValueError, match=r"relay|smtp"):
            parse_relay(wrong)
