"""How long messages are kept: for ever, unless an owner (or the operator) makes a rule.

Laws:
- Saving a rule shows at once what it would take today: its dry run, from which on it rests for a day.
- The portal's rules move to Trash; nothing here deletes for good.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from um.core.errors import InvalidError
from um.core.message import MessageKind
from um.core.retention import KINDS, Action, RetentionRule
from um.policy.retention import KEEP, SECOND_THOUGHTS, Choice, StandingRule
from um.service.recipients import by_id
from um.service.retention import Expiry
from um.service.web_sessions import Visitor
from um.web.api.own_account import OWNER
from um.web.guards import Customer
from um.web.portal.forms import Form, WritableForm
from um.web.portal.render import page
from um.web.portal.rows import Rows
from um.web.portal.wording import Wording, wording
from um.web.services import Services, WebServices

router = APIRouter()
PATH = "/keeping"
DAYS = (30, 60, 90, 180, 365)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an owner has chosen for one kind: `""` the operator's way, KEEP, or days."""

    word: str = ""
    heard_only: bool = False
    damaged: bool = False
    """What stands there cannot be read. It keeps everything, and whatever is saved mends it."""


@router.get(PATH)
async def keeping_page(request: Request, visitor: Customer, services: Services) -> Response:
    """What holds for each kind."""
    return await _page(request, visitor, services)


@router.post(PATH)
async def change_rules(request: Request, form: WritableForm, services: Services) -> Response:
    """Sets what is different, and shows what all of it would take today."""
    visitor, name = form.visitor, by_id(form.visitor.account.id)
    before = await _chosen(services, visitor)
    for kind in KINDS:
        wanted = _read(form, kind)
        if wanted != before[kind]:
            await services.retention.choose(name, kind, _rule(kind, wanted), actor=OWNER)
    takes = await services.retention.dry_run(name)
    return await _page(request, visitor, services, takes=takes, saved=True)


def _read(form: Form, kind: MessageKind) -> Chosen:
    word = form.text(f"rule-{kind}")
    if word in ("", KEEP):
        return Chosen(word)
    if not (word.isascii() and word.isdigit() and len(word) <= 5 and int(word) > 0):
        raise InvalidError("A rule counts days")
    return Chosen(str(int(word)), heard_only=form.text(f"heard-{kind}") == "yes")


def _rule(kind: MessageKind, chosen: Chosen) -> str | None:
    """As the use case takes it."""
    if chosen.word in ("", KEEP):
        return chosen.word or None
    return str(RetentionRule(kind, int(chosen.word), heard_only=chosen.heard_only))


async def _chosen(services: WebServices, visitor: Visitor) -> dict[MessageKind, Chosen]:
    choices = await services.retention.choices(by_id(visitor.account.id))
    return {kind: _shown(choice) for kind, choice in choices.items()}


def _shown(choice: Choice) -> Chosen:
    if choice.rule is not None:
        return Chosen(str(choice.rule.older_than_days), choice.rule.heard_only)
    return Chosen(KEEP if choice.keep or choice.damaged else "", damaged=choice.damaged)


async def _page(
    request: Request,
    visitor: Visitor,
    services: WebServices,
    *,
    takes: Sequence[Expiry] = (),
    saved: bool = False,
) -> Response:
    words = wording(visitor.account.language)
    rows = Rows(words, visitor.account.timezone, services.clock.now())
    chosen = await _chosen(services, visitor)
    standing = {
        each.rule.kind: _stands(words, rows, each)
        for each in await services.retention.rules(by_id(visitor.account.id))
    }
    return await page(
        request,
        visitor,
        "keeping",
        path=PATH,
        done=words("done.saved") if saved else "",
        kinds=[(kind.value, each, standing.get(kind, "")) for kind, each in chosen.items()],
        days=DAYS,
        takes=[
            words(
                "keeping.takes",
                kind=words(f"kinds.{each.standing.rule.kind}"),
                messages=words.count("list.total", each.messages),
                size=words.size(each.octets),
            )
            for each in takes
        ],
    )


def _stands(words: Wording, rows: Rows, standing: StandingRule) -> str:
    """What of a rule that holds is not in the form's fields."""
    days = words.number(standing.rule.older_than_days)
    if standing.shown_at is None:
        said = words("keeping.asleep", days=days)
    else:
        begins = rows.when(standing.shown_at + SECOND_THOUGHTS)
        said = words("keeping.begins", days=days, at=begins)
    if standing.rule.action is Action.DELETE:
        return f"{said} {words('keeping.deletes', days=days)}"
    return said
