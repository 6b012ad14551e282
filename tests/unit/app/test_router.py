"""The router: each answer of the services has its words of SIP, and nothing escapes as an error."""

import asyncio
from dataclasses import replace

import pytest

from um.app.router import REFUSALS, ServiceRouter
from um.core.account import Account, Number, NumberUse
from um.core.errors import UnavailableError
from um.core.ids import E164, AccountId
from um.core.ports import NoMetrics
from um.service.routing import CallPlace, CallRefusal, RefusedCall
from um.telephony.application import CallInfo, DivertCause, Refusal, Route
from voicemail.greeting import ANNOUNCEMENTS

INFO = CallInfo("id", "1", "", "", DivertCause.DIRECT, "127.0.0.1")
ACCOUNT = Account(AccountId("a"), "alice", "um.example.net", None)
VOICE = Number(E164("+15551230001"), ACCOUNT.id, NumberUse.BOTH)
FAX = Number(E164("+15551230002"), ACCOUNT.id, NumberUse.FAX)


class Door:
    def __init__(self, answer):
        self.answer = answer

    async def note(self, refused, *, call_id, caller):
        self.noted = (refused.reason, call_id, caller)

    async def decide(self, candidates, *, caller, is_vouched_for):
        self.asked = (caller, is_vouched_for)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def routed(answer) -> Route | Refusal:
    return asyncio.run(ServiceRouter(Door(answer), NoMetrics()).route(["1"], INFO))


def test_a_call_finds_its_application():
    assert routed(CallPlace("voice", ACCOUNT, VOICE)) == Route("voice", ACCOUNT, VOICE)


def test_a_withheld_line_is_asked_for_and_noted_as_anonymous():
    """It opens its owner's mailbox (decision 12); the history of another's says nothing of it."""
    door = Door(RefusedCall(CallRefusal.FULL, ACCOUNT, VOICE))
    facts = {"caller_number": "", "caller_name": "anonymous", "line": "+15550007"}
    info = replace(INFO, **facts, is_vouched_for=True)
    asyncio.run(ServiceRouter(door, NoMetrics()).route(["1"], info))
    assert door.asked == ("+15550007", True)
    assert door.noted[2] == "anonymous"


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (CallRefusal.UNKNOWN, 404),
        (CallRefusal.SUSPENDED, 480),
        (CallRefusal.CLOSED, 410),
        (CallRefusal.OWN_CLOSED, 410),
        (CallRefusal.VOICEMAIL_OFF, 480),
        (CallRefusal.FULL, 486),
    ],
)
def test_each_refusal_has_its_status(reason, status):
    assert routed(RefusedCall(reason, ACCOUNT, VOICE)).status == status


def test_each_refusal_is_handed_to_the_history():
    """With who called; a call that is taken is not."""
    door = Door(RefusedCall(CallRefusal.FULL, ACCOUNT, VOICE))
    info = replace(INFO, caller_name="anonymous")
    asyncio.run(ServiceRouter(door, NoMetrics()).route(["1"], info))
    assert door.noted == (CallRefusal.FULL, "id", "anonymous")


def test_every_refusal_is_in_the_table():
    assert set(REFUSALS) == set(CallRefusal)


def test_announcements_are_ones_that_voicemail_knows():
    """A misspelt name would be spoken as a fault."""
    names = {refusal.announcement for refusal in REFUSALS.values()} - {None}
    assert names <= set(ANNOUNCEMENTS)


def test_whoever_is_refused_a_voicemail_is_told_why():
    """Off, suspended, closed, full: in the language of the account; an unknown number is a status."""
    for reason in set(CallRefusal) - {CallRefusal.UNKNOWN}:
        refusal = routed(RefusedCall(reason, replace(ACCOUNT, language="fr"), VOICE))
        assert refusal.announcement in ANNOUNCEMENTS
        assert refusal.language == "fr"
    assert routed(RefusedCall(CallRefusal.UNKNOWN)).announcement is None


def test_a_fax_machine_is_not_spoken_to():
    assert routed(RefusedCall(CallRefusal.FULL, ACCOUNT, FAX)).announcement is None
    assert routed(RefusedCall(CallRefusal.FULL, ACCOUNT, VOICE)).announcement is not None


@pytest.mark.parametrize(("error", "status"), [(UnavailableError(), 503), (RuntimeError("x"), 500)])
def test_trouble_is_a_status_too(error, status):
    assert routed(error).status == status
