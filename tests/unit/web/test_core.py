"""What the core asks: every form of the answer, every refusal, and who may ask."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from httpx import ASGITransport, AsyncClient, Response
from hypothesis import given
from hypothesis import strategies as st

from tests.support.house import NUMBER, House, incoming
from um.core.errors import UnavailableError
from um.core.message import SEEN, MessageKind
from um.service.core_desk import CoreDesk
from um.service.message_waiting import Tallies
from um.web.core import MAX_BODY_OCTETS, core_router
from um.web.metrics import PrometheusMetrics
from um.web.plain import plain_app

TOKEN = "a token of the core"
STRANGER = "192.0.2.1"
CALL = {
    "id": "1700000000.42",
    "number": "5551230001",
    "caller": "+1 555 987 0001",
    "started_at": "2026-03-04T11:00:00Z",
    "duration_seconds": 61.5,
    "disposition": "ANSWERED",
}


class Desk:
    """A house with one account, and its plain port."""

    def __init__(self, *, store=None):
        self.house = House()
        self.account = asyncio.run(self.house.add("alice", NUMBER))
        self.desk = CoreDesk(
            store or self.house.store,
            self.house.clock,
            self.house.settings,
            Tallies(),
            ring_seconds=20,
        )

    def ask(self, path, *, method="GET", peer="127.0.0.1", headers=None, **more) -> Response:
        app = plain_app(
            {},
            PrometheusMetrics(),
            lambda host: host == "127.0.0.1",
            core=core_router(self.desk),
            core_token=TOKEN.replace(" ", "-"),
        )

        async def go() -> Response:
            transport = ASGITransport(app=app, client=(peer, 50000))
            async with AsyncClient(transport=transport, base_url="http://um") as client:
                return await client.request(method, path, headers=headers, **more)

        return asyncio.run(go())

    def post(self, **changes) -> Response:
        document = {key: value for key, value in (CALL | changes).items() if value is not None}
        return self.ask("/core/v1/calls", method="POST", json=document)

    def calls(self):
        return asyncio.run(
            self.house.store.read("calls", lambda tx: tx.records.calls_of(self.account.id))
        )

    def deliver(self, key, kind, **more):
        asyncio.run(self.house.delivery.deliver(incoming(self.account, key, kind=kind, **more)))


def check_problem(answer: Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["detail"]


def test_a_number_is_told_whole():
    """State, voicemail, ring time, use and what waits."""
    desk = Desk()
    desk.deliver("a", MessageKind.VOICE)
    desk.deliver("b", MessageKind.FAX, flags=frozenset({SEEN}))
    desk.deliver("c", MessageKind.MAIL)
    answer = desk.ask(f"/core/v1/numbers/{NUMBER}")
    assert answer.status_code == 200
    none = {"new": 0, "old": 0, "urgent_new": 0, "urgent_old": 0}
    assert answer.json() == {
        "number": NUMBER,
        "state": "active",
        "voicemail": True,
        "ring_seconds": 20,
        "use": "both",
        "voice": none | {"new": 1},
        "fax": none | {"old": 1},
    }


@pytest.mark.parametrize(
    "spelling",
    [
        "+15551230001",
        "%2B15551230001",
        "15551230001",
        "5551230001",
        "011 1 555-123-0001",
        "(555)%20123-0001",
    ],
)
def test_any_spelling_is_the_number(spelling):
    answer = Desk().ask(f"/core/v1/numbers/{spelling}")
    assert answer.json()["number"] == NUMBER


def test_the_forms_of_a_dialplan():
    """One line for CUT and ARRAY, one for HASH, one value for Set."""
    desk = Desk()
    path = f"/core/v1/numbers/{NUMBER}"
    line = desk.ask(f"{path}?format=text")
    assert line.headers["content-type"].startswith("text/plain")
    assert line.text == (
        "ring=20,voicemail=on,state=active,use=both,number=+15551230001,"
        "voice_new=0,voice_old=0,fax_new=0,fax_old=0"
    )
    assert desk.ask(f"{path}?format=form").text.startswith("ring=20&voicemail=on&state=active&")
    assert "number=%2B15551230001" in desk.ask(f"{path}?format=form").text
    assert desk.ask(f"{path}?field=ring_seconds").text == "20"
    assert desk.ask(f"{path}?field=voicemail&format=text").text == "on"
    check_problem(desk.ask(f"{path}?field=pin_hash"), 422, "invalid")
    check_problem(desk.ask(f"{path}?format=xml"), 422, "invalid")


def test_an_accounts_own_choices_hold():
    """Its own ring time, 0 too; voicemail off; the state by its name."""
    desk = Desk()
    path = f"/core/v1/numbers/{NUMBER}?format=text"
    accounts = desk.house.accounts
    asyncio.run(accounts.set_ring_seconds("alice", 0))
    asyncio.run(accounts.set_voicemail("alice", on=False))
    asyncio.run(accounts.suspend("alice"))
    assert desk.ask(path).text.startswith("ring=0,voicemail=off,state=suspended")
    asyncio.run(accounts.set_ring_seconds("alice", None))
    asyncio.run(accounts.close("alice"))
    assert desk.ask(path).text.startswith("ring=20,voicemail=off,state=closed")


@pytest.mark.parametrize("number", ["5551230009", "nobody", "*98", "%00", "+", "x" * 5000, "a/b"])
def test_who_is_not_ours_is_404(number):
    check_problem(Desk().ask(f"/core/v1/numbers/{number}"), 404, "not-found")


def test_only_the_trusted_and_the_bearer_may_ask():
    """Others learn of /core only that a token is missing, and of the rest nothing."""
    desk = Desk()
    path = f"/core/v1/numbers/{NUMBER}"
    refused = desk.ask(path, peer=STRANGER)
    check_problem(refused, 401, "authentication-failed")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    token = TOKEN.replace(" ", "-")
    for wrong in (f"Bearer {token}x", f"Basic {token}", token, "Bearer", "Bearer \xff"):
        given = {"authorization": wrong.encode("latin-1")}
        assert desk.ask(path, peer=STRANGER, headers=given).status_code == 401
    right = {"authorization": f"bearer {token}"}
    assert desk.ask(path, peer=STRANGER, headers=right).status_code == 200
    for other in ("/metrics", "/healthz", "/core", "/"):
        assert desk.ask(other, peer=STRANGER, headers=right).status_code == 404


def test_a_call_comes_into_the_history_once():
    """201, then 200 for the same id; number and caller in E.164."""
    desk = Desk()
    assert desk.post().status_code == 201
    assert desk.post().status_code == 200
    assert desk.post(disposition="busy").status_code == 200
    (call,) = desk.calls()
    assert (call.kind, call.number, call.caller) == ("voice", NUMBER, "+15559870001")
    assert call.at == desk.house.clock.now() - timedelta(hours=1)
    assert (call.duration_seconds, call.detail) == (61.5, "answered 1700000000.42")
    assert desk.post(id="2", duration_seconds=None, duration=0, disposition="NO ANSWER").json() == {
        "id": "2",
        "added": True,
    }
    assert {each.kind for each in desk.calls()} == {"voice", "missed-voice"}


def test_an_id_is_an_id_of_the_core_only():
    """A call of our own whose detail looks like it is none of the core's."""
    desk = Desk()
    assert desk.post().status_code == 201
    (call,) = desk.calls()
    own = replace(call, detail="no-media 77")
    asyncio.run(desk.house.store.run("own", lambda tx: tx.records.add_call(own)))
    assert desk.post(id="77").status_code == 201


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"id": None}, "id"),
        ({"id": "a b"}, "id"),
        ({"number": None}, "number"),
        ({"started_at": "yesterday"}, "started_at"),
        ({"started_at": "2026-03-04T11:00:00"}, "started_at"),
        ({"started_at": "2036-03-04T11:00:00Z"}, "started_at"),
        ({"duration_seconds": -1}, "duration"),
        ({"duration_seconds": "NaN"}, "duration"),
        ({"disposition": "gone"}, "disposition"),
        ({"caller": "x" * 300}, "caller"),
    ],
)
def test_a_bad_record_is_refused_by_its_key(changes, word):
    desk = Desk()
    answer = desk.post(**changes)
    check_problem(answer, 422, "invalid")
    assert word in answer.json()["detail"]
    assert desk.calls() == []


def test_a_call_to_nobody_is_404():
    check_problem(Desk().post(number="5551239999"), 404, "not-found")


def test_a_body_without_end_is_cut_off():
    answer = Desk().ask("/core/v1/calls", method="POST", content=b" " * (MAX_BODY_OCTETS + 1))
    check_problem(answer, 413, "too-large")


@given(st.binary(max_size=200))
def test_no_octets_break_it(octets):
    """Anything that is no record is a 422."""
    check_problem(DESK.ask("/core/v1/calls", method="POST", content=octets), 422, "invalid")


def test_a_storage_that_is_away_is_a_503():
    """The core may try again; the cause stays here."""

    class Away:
        async def read(self, name, work):
            raise UnavailableError

    answer = Desk(store=Away()).ask(f"/core/v1/numbers/{NUMBER}")
    check_problem(answer, 503, "unavailable")
    assert "retry-after" in answer.headers


DESK = Desk()
