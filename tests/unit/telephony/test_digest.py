"""Digest for cores that no address vouches for: RFC vectors, nonces, and what a stranger may do."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sip_bench import SDP, CountedMetrics, request, summary
from um.telephony.sip.digest import (
    NONCE_SECONDS,
    Credentials,
    Verdict,
    Verifier,
    expected_response,
    secret_of,
)
from um.telephony.sip.grammar import SipSyntaxError
from um.telephony.sip.guard import AMPLIFICATION, Guard
from um.telephony.sip.guesses import MAX_GUESSES, MAX_KNOWN, WINDOW_SECONDS, Guesses
from um.telephony.sip.layer import Hop

STRANGER = Hop("UDP", ("198.51.100.7", 5060))
URI = "sip:+15551230001@192.0.2.1"


def sample(algorithm, **changes):
    """The credentials of RFC 7616 §3.9.1."""
    facts = {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "uri": "/dir/index.html",
        "response": "",
        "algorithm": algorithm,
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "count": "00000001",
    }
    return Credentials(**{**facts, **changes})


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_vectors_of_rfc_7616(algorithm, response):
    """§3.9.1, both algorithms."""
    secret = secret_of(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life")
    assert expected_response(sample(algorithm), "GET", secret) == response


class Desk:
    """A guard, and a core that answers its challenges."""

    def __init__(self):
        self.metrics = CountedMetrics()
        verifier = Verifier("um.test", {"um": "secret words"}, random.Random(3))
        self.guard = Guard(verifier, random.Random(4), self.metrics)

    def send(self, data, *, now=1000.0, source=STRANGER):
        """Whether it is admitted; what is answered stands in `answer`."""
        admitted, answer = self.guard.admit(data, source, now)
        self.answer = answer[0] if answer else b""
        if answer:
            assert answer[1] == source
            assert len(self.answer) <= AMPLIFICATION * len(data)
        return admitted

    def proved(self, method="INVITE", *, algorithm="SHA-256", password="secret words", **facts):
        """A request with an answer to the last challenge."""
        text = self.answer.decode()
        nonce = facts.pop("nonce", None) or re.search(r'nonce="([^"]+)"', text)[1]
        count, uri = facts.pop("count", "00000001"), facts.pop("uri", URI)
        credentials = Credentials("um", "um.test", nonce, uri, "", algorithm, "c", count)
        secret = secret_of(algorithm, "um", "um.test", password)
        response = expected_response(credentials, method, secret)
        extra = (
            f'Authorization: Digest username="um", realm="um.test", nonce="{nonce}", '
            f'uri="{uri}", response="{response}", algorithm={algorithm}, cnonce="c", '
            f"qop=auth, nc={count}\r\n"
        )
        return request(method, **{"cseq": 2, "branch": "z9hG4bKtwo", "extra": extra, **facts})


@pytest.fixture
def desk():
    """One that has been challenged."""
    made = Desk()
    assert not made.send(request("INVITE", body=SDP))
    return made


def test_both_algorithms_are_offered(desk):
    """RFC 8760 §2.3: the stronger first; the answer echoes what answers echo, with a tag."""
    assert summary(desk.answer) == "401 INVITE"
    text = desk.answer.decode()
    assert re.findall(r"algorithm=(\S+)", text) == ["SHA-256", "MD5"]
    assert "stale" not in text
    assert "received=198.51.100.7" in text


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_who_knows_the_password_is_heard(desk, algorithm):
    """And his ACK and BYE, which cannot be asked; but only from where he called."""
    assert not desk.send(request("ACK"))
    assert desk.answer == b""
    desk.send(request("INVITE", body=SDP))
    assert desk.send(desk.proved(algorithm=algorithm))
    assert desk.send(request("ACK", cseq=2))
    assert desk.send(request("BYE", cseq=3))
    assert not desk.send(request("BYE", cseq=3, call_id="another"))
    assert not desk.send(request("BYE", cseq=3), source=Hop("UDP", ("198.51.100.8", 5060)))


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "other words"},
        {"uri": "sip:+15559999999@192.0.2.1"},
        {"count": "0000000g"},
        {"algorithm": "MD5", "password": ""},
    ],
)
def test_what_proves_nothing_is_asked_again(desk, changes):
    """A wrong password, credentials for another request, a malformed count: 401, not stale."""
    assert not desk.send(desk.proved(**changes))
    assert b"401" in desk.answer
    assert b"stale" not in desk.answer


def test_a_count_is_good_for_one_request_and_its_retransmissions(desk):
    """A replay is asked again (`stale`), the same request within 32 s is not."""
    first = desk.proved()
    challenge = desk.answer
    assert desk.send(first)
    assert desk.send(first, now=1031.0)
    assert not desk.send(first, now=1033.0)
    assert b"stale=true" in desk.answer
    desk.answer = challenge
    assert not desk.send(desk.proved(branch="z9hG4bKthree", call_id="replay"))
    assert b"stale=true" in desk.answer
    desk.answer = challenge
    assert desk.send(desk.proved(branch="z9hG4bKthree", count="00000002"))


def test_an_old_or_foreign_nonce_is_stale(desk):
    """Five minutes, and only for the address it was given to."""
    proved = desk.proved()
    assert not desk.send(proved, now=1001.0 + NONCE_SECONDS)
    assert b"stale=true" in desk.answer
    assert not desk.send(proved, source=Hop("UDP", ("198.51.100.8", 5060)))
    assert b"stale=true" in desk.answer
    assert not desk.send(desk.proved(nonce="0" * 34))
    assert desk.send(desk.proved())


def test_a_stranger_hears_nothing_else(desk):
    """Neither rubbish nor other methods nor what is too short for an answer get one."""
    for data in (b"hello", request("MESSAGE"), request("BYE"), b"INVITE sip:x SIP/2.0\r\n\r\n"):
        assert not desk.send(data)
        assert desk.answer == b""
    short = (
        b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;rport;branch=z9hG4bKa\r\n"
        b"From: <sip:a>;tag=a\r\nTo: <sip:a>\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n\r\n"
    )
    assert not desk.send(short)
    assert desk.answer == b""
    assert desk.metrics.counts["sip_challenges_too_large"] == 1


def test_secrets_are_not_shown(desk):
    """Whoever logs the guard logs no password and no hash of one."""
    shown = repr(desk.guard) + repr(desk.guard.verifier)
    assert "secret words" not in shown
    assert secret_of("MD5", "um", "um.test", "secret words") not in shown


@given(st.text(max_size=80))
def test_any_text_is_credentials_or_the_one_error(text):
    """A hostile Authorization raises nothing else."""
    for value in (text, f"Digest {text}", f'Digest qop=auth, nc=00000001, username="{text}"'):
        try:
            found = Credentials.parse(value)
        except SipSyntaxError:
            continue
        verifier = Verifier("um.test", {"um": "x"}, random.Random(3))
        verdict = verifier.weigh(found, "INVITE", peer="192.0.2.1", branch="b", now=1.0)
        assert verdict is Verdict.BAD


def hop(address):
    return Hop("UDP", (address, 5060))


def guess(desk, *, source, now=1000.0):
    """One wrong password, in answer to a challenge that came to `source`."""
    desk.send(request("INVITE", body=SDP), source=source, now=now)
    if desk.answer:
        desk.send(desk.proved(password="a guess"), source=source, now=now)
    return bool(desk.answer)


@pytest.mark.parametrize(
    ("guesser", "neighbour", "other"),
    [
        ("198.51.100.7", "198.51.100.7", "198.51.100.8"),
        ("2001:db8::7", "2001:db8::ffff:1", "2001:db8:0:1::7"),
    ],
)
def test_who_guesses_is_heard_no_more_for_a_while(desk, guesser, neighbour, other):
    """Not even with the right password; others are, and so is the guesser when the window is over."""
    answered = [guess(desk, source=hop(guesser)) for _ in range(MAX_GUESSES + 3)]
    assert answered == [True] * MAX_GUESSES + [False] * 3
    assert desk.metrics.counts["sip_guessers_dropped"] == 3
    assert not desk.send(request("OPTIONS"), source=hop(neighbour))
    assert desk.answer == b""
    desk.send(request("INVITE", body=SDP), source=hop(other))
    assert desk.send(desk.proved(body=SDP), source=hop(other))
    later = 1000.0 + WINDOW_SECONDS
    desk.send(request("INVITE", body=SDP), source=hop(guesser), now=later)
    assert desk.send(desk.proved(body=SDP), source=hop(guesser), now=later)


def test_nobody_is_locked_out_by_a_forged_address(desk):
    """Wrong answers to challenges that never came to that address count for nothing."""
    text = desk.answer.decode()  # a challenge of the forger's own
    nonce = re.search(r'nonce="([^"]+)"', text)[1]
    core = hop("203.0.113.5")
    for number in range(2 * MAX_GUESSES):
        forged = desk.proved(password="x", nonce=nonce if number % 2 else f"{number:034x}")
        desk.send(forged, source=core)
    desk.send(request("INVITE", body=SDP), source=core)
    assert desk.send(desk.proved(body=SDP), source=core)


def test_guessers_of_many_addresses_take_bounded_memory():
    """The longest known is forgotten."""
    guesses = Guesses()
    for number in range(MAX_KNOWN + 10):
        for _ in range(MAX_GUESSES):
            guesses.note(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5.0)
    assert len(guesses._windows) == MAX_KNOWN
    assert not guesses.too_many("10.0.0.1", 5.0)
    assert guesses.too_many(f"10.0.{(MAX_KNOWN + 9) >> 8}.{(MAX_KNOWN + 9) & 255}", 5.0)
