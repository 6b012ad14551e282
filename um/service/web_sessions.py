"""Sessions of the portal and the customer's API: opened by a login, on any node, ended at any time.

Laws:
- The cookie is made here at each login and kept as its SHA-256 only.
- The account's state is read with the session at every request, so that a suspension is read-only
  and a closure shuts the door from the next request on.
"""

from dataclasses import dataclass, field
from datetime import datetime

from um.core.account import Account
from um.core.credentials import WebSession
from um.core.ids import AccountId
from um.core.ports import Clock, Store, Transaction
from um.policy import sessions
from um.policy.lifecycle import Answer, Door, answer, suspended_notice
from um.service.random_secrets import digest, form_token, new_secret

MAX_AGENT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who makes a request."""

    account: Account
    session: WebSession
    read_only: bool
    notice: str
    """Why it is read-only; empty if it is not."""
    form_token: str = field(repr=False)
    """What every form of this session must bring back."""


class WebSessions:
    """One object serves a process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def open(self, account_id: AccountId, *, peer: str, agent: str = "") -> str:
        """A new session; returns its cookie, which is told once.

        Raises NotFoundError if the account has gone meanwhile.
        """
        cookie, now = new_secret(), self._clock.now()
        session = WebSession(digest(cookie), account_id, now, now, peer, _label(agent))
        await self._store.run("open-session", lambda tx: tx.credentials.add_session(session))
        return cookie

    async def find(self, cookie: str, *, touch: bool = True) -> Visitor | None:
        """Who comes with this cookie; None if it opens nothing (any more).

        Without `touch` it is no use of the session: one that nobody uses still ends.
        """
        key, now = digest(cookie), self._clock.now()

        def find_txn(tx: Transaction) -> tuple[WebSession, Account] | None:
            session = tx.credentials.session(key)
            account = session and tx.accounts.get(session.account_id)
            return (session, account) if session and account else None

        found = await self._store.read("find-session", find_txn)
        if found is None:
            return None
        session, account = found
        if not sessions.alive(opened_at=session.opened_at, used_at=session.used_at, now=now):
            await self.end(cookie)
            return None
        said = answer(account.state, Door.PORTAL)
        if said not in (Answer.ALLOWED, Answer.READ_ONLY):
            return None
        if touch:
            await self._touch(session, now)
        read_only = said is Answer.READ_ONLY
        notice = suspended_notice(account) if read_only else ""
        return Visitor(account, session, read_only, notice, form_token(cookie))

    async def end(self, cookie: str) -> None:
        """Log out; harmless if the session is gone."""
        key = digest(cookie)
        await self._store.run("end-session", lambda tx: tx.credentials.end_session(key))

    async def end_others(self, visitor: Visitor) -> int:
        """End all sessions of the account but the visitor's own; returns how many."""
        account_id, key = visitor.account.id, visitor.session.secret_hash
        return await self._store.run(
            "end-sessions", lambda tx: tx.credentials.end_sessions_of(account_id, but=key)
        )

    async def end_one(self, account_id: AccountId, public_id: str) -> bool:
        """End one session of the account; False if it has none of that id."""

        def end_one_txn(tx: Transaction) -> bool:
            found = tx.credentials.sessions_of(account_id)
            keys = [each.secret_hash for each in found if each.public_id == public_id]
            for key in keys:
                tx.credentials.end_session(key)
            return bool(keys)

        return await self._store.run("end-session", end_one_txn)

    async def every(self, account_id: AccountId) -> list[WebSession]:
        """The account's living sessions, the latest used first."""
        now = self._clock.now()
        found = await self._store.read(
            "sessions", lambda tx: tx.credentials.sessions_of(account_id)
        )
        return [
            each
            for each in found
            if sessions.alive(opened_at=each.opened_at, used_at=each.used_at, now=now)
        ]

    async def _touch(self, session: WebSession, now: datetime) -> None:
        if sessions.touch_due(used_at=session.used_at, now=now):
            key = session.secret_hash
            await self._store.run(
                "touch-session", lambda tx: tx.credentials.touch_session(key, now)
            )


def _label(agent: str) -> str:
    """What a browser calls itself, as text that can be listed."""
    return "".join(each for each in agent if each.isprintable())[:MAX_AGENT_CHARACTERS]
