"""Rules by which messages go of themselves: an owner's own, and the operator's for an account and for all."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter
from pydantic import AwareDatetime, Field, model_validator

from um.core.message import MessageKind
from um.core.retention import MAX_DAYS, Action, RetentionRule
from um.policy.retention import KEEP, SECOND_THOUGHTS, Choice, StandingRule
from um.service.recipients import by_id
from um.service.retention import Expiry
from um.web.api.accounts import Name
from um.web.api.documents import Document, Given, Line
from um.web.api.own_account import OWNER
from um.web.guards import Clerk, Customer, Reader, Writer, actor
from um.web.services import Services, WebServices

own = APIRouter(prefix="/me/retention", tags=["retention"])
router = APIRouter(tags=["operator"])
RuledKind = Literal[MessageKind.VOICE, MessageKind.FAX, MessageKind.INVOICE, MessageKind.MAIL]


class StandingDocument(Document):
    """A rule as it stands."""

    kind: MessageKind
    rule: str
    """As people write it: `voice older than 60 days and heard -> Trash`."""
    older_than_days: int
    heard_only: bool
    action: Action
    own: bool
    """The account's own, not the operator's for all."""
    shown_at: AwareDatetime | None
    """When its dry run was first asked for; null: never, and so the rule does nothing yet."""
    begins_at: AwareDatetime | None
    """From when on it is carried out: a day after `shown_at`."""
    in_force: bool

    @classmethod
    def of(cls, standing: StandingRule, now: datetime) -> "StandingDocument":
        """Over the wire."""
        rule, shown = standing.rule, standing.shown_at
        return cls(
            kind=rule.kind,
            rule=str(rule),
            older_than_days=rule.older_than_days,
            heard_only=rule.heard_only,
            action=rule.action,
            own=standing.own,
            shown_at=shown,
            begins_at=shown + SECOND_THOUGHTS if shown else None,
            in_force=standing.in_force(now),
        )


class ChosenDocument(Document):
    """What holds for one kind of message."""

    chosen: Literal["default", "keep", "rule", "damaged"]
    """`default`: as the operator's rule says, if there is one. `keep`: everything stays. `damaged`:
    what was chosen cannot be read; everything stays until another is chosen."""
    standing: StandingDocument | None
    """The rule that holds; null: nothing goes."""


class RetentionDocument(Document):
    """All of it."""

    kinds: dict[MessageKind, ChosenDocument]


class AccountRetention(RetentionDocument):
    """The same, and whether anything may go at all."""

    legal_hold: bool
    """Nothing of the account is deleted, whatever the rules say; a dry run finds nothing."""


class OwnChoice(Given):
    """What shall become of one kind: kept, or moved to Trash after some days."""

    keep: bool = False
    """Keep everything, whatever the operator's rule says; the rest must be left out then."""
    older_than_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = None
    """Counted from the day on which a message came into its folder."""
    heard_only: bool = False
    """Only what was heard or read."""

    def word(self, kind: MessageKind, action: Action = Action.TRASH) -> str:
        """As the use case takes it."""
        if self.older_than_days is None:
            return KEEP
        rule = RetentionRule(kind, self.older_than_days, heard_only=self.heard_only, action=action)
        return str(rule)

    @model_validator(mode="after")
    def _is_one_of_the_two(self) -> Self:
        if self.keep == (self.older_than_days is not None):
            raise ValueError("either keep or older_than_days")
        return self


class AccountChoice(OwnChoice):
    """The operator may delete for good, too."""

    action: Action = Action.TRASH
    reason: Line = ""
    """Kept in the audit log."""


class ExpiryDocument(Document):
    """What one rule would take now."""

    standing: StandingDocument
    messages: int
    octets: int

    @classmethod
    def of(cls, expiry: Expiry, now: datetime) -> "ExpiryDocument":
        """Over the wire."""
        standing = StandingDocument.of(expiry.standing, now)
        return cls(standing=standing, messages=expiry.messages, octets=expiry.octets)


class SumDocument(ExpiryDocument):
    """What one rule would take now of all accounts."""

    accounts: int


@own.get("")
async def show_own_rules(visitor: Customer, services: Services) -> RetentionDocument:
    """Show what becomes of old messages, by kind."""
    return await _shown(services, by_id(visitor.account.id))


@own.put("/{kind}")
async def choose_own_rule(
    kind: RuledKind, given: OwnChoice, visitor: Writer, services: Services
) -> RetentionDocument:
    """Choose what becomes of one kind. A new rule rests until a day after its dry run."""
    name = by_id(visitor.account.id)
    await services.retention.choose(name, kind, given.word(kind), actor=OWNER)
    return await _shown(services, name)


@own.delete("/{kind}")
async def drop_own_rule(kind: RuledKind, visitor: Writer, services: Services) -> RetentionDocument:
    """Go by the operator's rule again, if there is one."""
    name = by_id(visitor.account.id)
    await services.retention.choose(name, kind, None, actor=OWNER)
    return await _shown(services, name)


@own.post("/dry-run")
async def try_own_rules(visitor: Writer, services: Services) -> list[ExpiryDocument]:
    """Tell what the rules would take now, and let one that was never shown begin in a day."""
    return await _tried(services, by_id(visitor.account.id))


@router.get("/accounts/{name}/retention")
async def show_rules(name: Name, _: Reader, services: Services) -> AccountRetention:
    """Show what becomes of an account's old messages, by kind."""
    return await _shown_of(services, name)


@router.put("/accounts/{name}/retention/{kind}")
async def choose_rule(
    name: Name, kind: RuledKind, given: AccountChoice, token: Clerk, services: Services
) -> AccountRetention:
    """Choose for an account. A new rule rests until a day after its dry run."""
    word = given.word(kind, given.action)
    await services.retention.choose(name, kind, word, reason=given.reason, actor=actor(token))
    return await _shown_of(services, name)


@router.delete("/accounts/{name}/retention/{kind}")
async def drop_rule(
    name: Name, kind: RuledKind, token: Clerk, services: Services
) -> AccountRetention:
    """Let an account go by the rule for all again, if there is one."""
    await services.retention.choose(name, kind, None, actor=actor(token))
    return await _shown_of(services, name)


@router.post("/accounts/{name}/retention/dry-run")
async def try_rules(name: Name, _: Clerk, services: Services) -> list[ExpiryDocument]:
    """Tell what the rules would take of an account now. Its own rules count as shown from then on."""
    return await _tried(services, name)


@router.get("/retention")
async def show_rules_for_all(_: Reader, services: Services) -> list[StandingDocument]:
    """Show the rules for all accounts, which stand in the configuration."""
    now = services.clock.now()
    return [StandingDocument.of(each, now) for each in await services.retention.operators()]


@router.post("/retention/dry-run")
async def try_rules_for_all(_: Clerk, services: Services) -> list[SumDocument]:
    """Tell what every rule would take now, of all accounts together. All count as shown then.

    It looks at every account: of many it takes as long as in the nightly round.
    """
    now = services.clock.now()
    return _sums(await services.retention.dry_run(), now)


async def _shown_of(services: WebServices, name: str) -> AccountRetention:
    shown, account = await _shown(services, name), (await services.accounts.show(name)).account
    return AccountRetention(kinds=shown.kinds, legal_hold=account.legal_hold_at is not None)


async def _shown(services: WebServices, name: str) -> RetentionDocument:
    now = services.clock.now()
    choices = await services.retention.choices(name)
    standing = {each.rule.kind: each for each in await services.retention.rules(name)}
    return RetentionDocument(
        kinds={
            kind: ChosenDocument(
                chosen=_word(choice),
                standing=StandingDocument.of(standing[kind], now) if kind in standing else None,
            )
            for kind, choice in choices.items()
        }
    )


def _word(choice: Choice) -> Literal["default", "keep", "rule", "damaged"]:
    if choice.rule is not None:
        return "rule"
    if choice.damaged:
        return "damaged"
    return "keep" if choice.keep else "default"


async def _tried(services: WebServices, name: str) -> list[ExpiryDocument]:
    found = await services.retention.dry_run(name)
    # Read again: the notes that they were shown have been written since.
    standing = {each.rule: each for each in await services.retention.rules(name)}
    now = services.clock.now()
    return [
        ExpiryDocument(
            standing=StandingDocument.of(standing.get(each.standing.rule, each.standing), now),
            messages=each.messages,
            octets=each.octets,
        )
        for each in found
    ]


def _sums(found: Sequence[Expiry], now: datetime) -> list[SumDocument]:
    by_rule = defaultdict[StandingRule, list[Expiry]](list)
    for each in found:
        by_rule[each.standing].append(each)
    return [
        SumDocument(
            standing=StandingDocument.of(standing, now),
            accounts=len(each),
            messages=sum(expiry.messages for expiry in each),
            octets=sum(expiry.octets for expiry in each),
        )
        for standing, each in by_rule.items()
    ]
