"""What callers hear, given as files of any audio format and taken back.

Laws:
- A suspended account's greetings stay as they are; the state is read after the conversion, which
  takes a while.
- What is kept is what the telephone plays: linear, mono, 8000 samples a second.
"""

from um.core.account import Account, AuditRecord, GreetingKind
from um.core.errors import NotFoundError
from um.core.ids import AccountId
from um.core.ports import AudioFiles, Clock, Greetings, Store, Transaction
from um.policy.lifecycle import Door, refusal

LONGEST_SECONDS = 60
MAX_OCTETS = 20 * 1024 * 1024
"""Of the file that is given: two minutes of what a studio records, with room."""


class OwnGreetings:
    """Of one account each."""

    def __init__(self, store: Store, greetings: Greetings, audio: AudioFiles, clock: Clock) -> None:
        self._store = store
        self._greetings = greetings
        self._audio = audio
        self._clock = clock

    async def kinds(self, account_id: AccountId) -> set[GreetingKind]:
        """Which are recorded."""
        return await self._greetings.kinds(account_id)

    async def get(self, account_id: AccountId, kind: GreetingKind) -> bytes:
        """A WAV file. Raises NotFoundError."""
        found = await self._greetings.get(account_id, kind)
        if found is None:
            raise NotFoundError("There is no such greeting")
        return found

    async def put(
        self, account_id: AccountId, kind: GreetingKind, data: bytes, *, actor: str
    ) -> None:
        """Keep an audio file as this greeting, in place of an earlier one.

        Raises RefusedDocumentError (no audio, or longer than LONGEST_SECONDS), ReadOnlyError,
        AccountClosedError, NotFoundError, UnavailableError.
        """
        wav = await self._audio.for_telephone(data, longest_seconds=LONGEST_SECONDS)
        await self._noted(account_id, "greeting", kind, actor)
        await self._greetings.put(account_id, kind, wav)

    async def delete(self, account_id: AccountId, kind: GreetingKind, *, actor: str) -> None:
        """Take one back. Raises NotFoundError, ReadOnlyError, AccountClosedError."""
        if kind not in await self._greetings.kinds(account_id):
            raise NotFoundError("There is no such greeting")
        await self._noted(account_id, "greeting-removed", kind, actor)
        await self._greetings.delete(account_id, kind)

    async def _noted(
        self, account_id: AccountId, action: str, kind: GreetingKind, actor: str
    ) -> None:
        """Write the audit record, if the account may be changed."""
        now = self._clock.now()

        def note_greeting_txn(tx: Transaction) -> None:
            _check(tx.accounts.get(account_id))
            tx.records.audit(AuditRecord(now, actor, action, account_id, kind))

        await self._store.run(action, note_greeting_txn)


def _check(account: Account | None) -> None:
    if account is None:
        raise NotFoundError("There is no such account")
    if error := refusal(account, Door.PORTAL):
        raise error
