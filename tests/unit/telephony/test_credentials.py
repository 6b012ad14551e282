"""Answers to challenges (RFC 8760, 7616, 3261 §22): what another's verifier thinks of them."""

import hashlib
import random

import pytest

from tests.support.sip_bench import Bench, replied, request
from um.telephony.sip.credentials import Credential, Wallet, read_challenges
from um.telephony.sip.digest import Credentials, Verdict, Verifier
from um.telephony.sip.endpoint import Endpoint, EndpointSettings
from um.telephony.sip.events import CallEnded, End, TransferEnded
from um.telephony.sip.message import Headers, Response
from um.telephony.sip.parser import parse_message

REALM = "pbx.example.net"
NAME, PASSWORD = 'anna "the" \\ bell', 'p\u00e4ss "word"'
PEER = frozenset({"192.0.2.10"})
OPTIONS = parse_message(request("OPTIONS"))


def challenged(*values, status=401):
    name = "www-authenticate" if status == 401 else "proxy-authenticate"
    return Response(Headers(tuple((name, value) for value in values)), b"", status, "x")


def wallet(*credentials):
    return Wallet(random.Random(3), credentials or (Credential(NAME, PASSWORD, realm=REALM),))


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_a_right_password_is_believed(algorithm):
    """Names and passwords of any characters; the second answer to one nonce counts on."""
    verifier = Verifier(REALM, {NAME: PASSWORD}, random.Random(5))
    value = next(v for v in verifier.challenges("192.0.2.1", 10.0) if algorithm in v)
    ours = wallet()
    for count in (1, 2):
        ((name, answer),) = ours.authorize(OPTIONS, challenged(value), peers=PEER)
        assert name == "authorization"
        given = Credentials.parse(answer)
        assert int(given.count, 16) == count
        verdict = verifier.weigh(given, "OPTIONS", peer="192.0.2.1", branch=str(count), now=11.0)
        assert verdict is Verdict.GOOD


def test_the_first_that_we_can_answer_is_answered():
    """RFC 8760 §2.4: of one realm the topmost known; a 407 by Proxy-Authorization; realms apart."""
    unknown = f'Digest realm="{REALM}", nonce="a", qop="auth", algorithm=SHA-512-256'
    sha = f'Digest realm="{REALM}", nonce="b", qop="auth,auth-int", algorithm=SHA-256'
    md5 = f'Digest realm="{REALM}", nonce="c", qop="auth", algorithm=MD5'
    other = 'Digest realm="other", nonce="d", qop="auth"'
    ours = wallet(Credential(NAME, PASSWORD, realm=REALM), Credential("x", "y", realm="other"))
    response = challenged(unknown, sha, md5, other, status=407)
    fields = ours.authorize(OPTIONS, response, peers=PEER)
    assert [name for name, _ in fields] == ["proxy-authorization"] * 2
    assert 'nonce="b"' in fields[0][1]
    assert 'username="x", realm="other"' in fields[1][1]


def test_a_challenge_without_qop_gets_the_old_digest():
    """RFC 3261 §22.4: a proxy's of RFC 2069; opaque comes back as it came."""
    value = f'Digest realm="{REALM}", nonce="abc", opaque="o\\"p"'
    ((_, answer),) = wallet(Credential("um", "x", realm=REALM)).authorize(
        OPTIONS, challenged(value), peers=PEER
    )

    def md5(text):
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    expected = md5(f"{md5(f'um:{REALM}:x')}:abc:{md5(f'OPTIONS:{OPTIONS.uri}')}")
    assert f'response="{expected}"' in answer
    assert 'opaque="o\\"p"' in answer
    assert "qop" not in answer
    assert "nc=" not in answer


@pytest.mark.parametrize(
    "value",
    [
        'Digest realm="elsewhere", nonce="a", qop="auth"',
        f'Digest realm="{REALM}", nonce="a", qop="auth-int"',
        f'Digest realm="{REALM}", nonce="a", qop="auth", algorithm=MD5-sess',
        f'Digest realm="{REALM}", qop="auth"',
        f'Basic realm="{REALM}"',
        f'Digest realm="{REALM}, nonce=',
        "Digest ,",
        "",
    ],
)
def test_what_is_not_for_us_gets_nothing(value):
    """Another realm, another scheme, what does not parse: no octet that a password went into."""
    assert wallet().authorize(OPTIONS, challenged(value), peers=PEER) == ()


def test_a_password_for_a_host_is_for_nobody_else():
    """Whatever realm a stranger names."""
    ours = wallet(Credential("um", "x", host="192.0.2.10"))
    response = challenged(f'Digest realm="{REALM}", nonce="a", qop="auth"')
    assert len(ours.authorize(OPTIONS, response, peers=PEER)) == 1
    assert ours.authorize(OPTIONS, response, peers=frozenset({"192.0.2.66"})) == ()
    assert "x" not in repr(Credential("um", "x", host="h")).split("password")[-1]
    assert read_challenges(Response(Headers(()), b"", 401, "x")) == []


class Guarded(Bench):
    """A bench whose endpoint has a password for the core."""

    def __post_init__(self):
        settings = EndpointSettings("192.0.2.1", 5070)
        credentials = (Credential("um", "secret", realm=REALM),)
        self.endpoint = Endpoint(settings, random.Random(7), self.metrics, credentials=credentials)

    def challenge(self, nonce, *, stale=False, status=401):
        name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        tail = ", stale=true" if stale else ""
        extra = f'{name}: Digest realm="{REALM}", nonce="{nonce}", qop="auth"{tail}\r\n'
        return self.receive(replied(self.last, status, "x", extra=extra))


def test_requests_inside_a_call_answer_challenges():
    """REFER and BYE by a core that challenges: numbers go on, a refusal is one after all."""
    bench = Guarded()
    call, _ = bench.answered()
    bench.endpoint.refer(call, "100", bench.now)
    bench.sent()
    assert bench.challenge("a", status=407) == ["REFER"]
    assert "CSeq: 2 REFER\r\n" in bench.last
    assert "Proxy-Authorization: Digest " in bench.last
    assert bench.challenge("b", status=407) == []  # the password is wrong
    assert bench.events() == [TransferEnded(call, done=False, status=407)]
    bench.endpoint.hang_up(call, bench.now)
    bench.sent()
    assert "CSeq: 3 BYE\r\n" in bench.last
    assert bench.challenge("c") == ["BYE"]
    assert "CSeq: 4 BYE\r\n" in bench.last
    bench.receive(replied(bench.last, 200, "OK"))
    assert not bench.endpoint.asking


def test_a_proxy_and_the_peer_behind_it_may_both_ask():
    """§22.3: 407, then 401: the second answer carries both."""
    bench = Guarded()
    call, _ = bench.answered()
    bench.endpoint.hang_up(call, bench.now)
    bench.sent()
    assert bench.challenge("a", status=407) == ["BYE"]
    assert bench.challenge("b", status=401) == ["BYE"]
    assert "Proxy-Authorization: Digest " in bench.last
    assert "\r\nAuthorization: Digest " in bench.last
    assert bench.challenge("c", status=401) == []


def test_an_offer_inside_a_call_answers_challenges():
    """The INVITE's number and branch are new, and its ACK carries the credentials (§22.1)."""
    bench = Guarded()
    call, _ = bench.answered()
    assert bench.endpoint.offer(call, b"v=0\r\n", bench.now)
    assert bench.sent() == ["INVITE"]
    assert bench.challenge("a") == ["ACK", "INVITE"]
    assert "CSeq: 2 INVITE\r\n" in bench.last
    assert bench.receive(replied(bench.last, 200, "OK")) == ["ACK"]
    assert "CSeq: 2 ACK\r\n" in bench.last
    assert "Authorization: Digest " in bench.last


def test_no_challenge_is_answered_for_ever():
    """Even one that calls every nonce stale: three answers, then it is a refusal."""
    bench = Guarded()
    call, tag = bench.answered()
    bench.endpoint.refer(call, "100", bench.now)
    bench.sent()
    assert bench.challenge("a", stale=True) == ["REFER"]
    assert bench.challenge("b", stale=True) == ["REFER"]
    assert bench.challenge("c", stale=True) == ["REFER"]
    assert bench.challenge("d", stale=True) == []
    assert bench.events() == [TransferEnded(call, done=False, status=401)]
    assert bench.receive(request("BYE", branch="z9hG4bKb", cseq=2, to_tag=tag)) == ["200 BYE"]
    assert bench.events() == [CallEnded(call, End.BYE)]
