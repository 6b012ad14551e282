"""What owners choose about the folders of voice messages, faxes and invoices.

Laws:
- Messages that are there stay where they lie: to a mail program each would be another one elsewhere.
- One choice is one transaction with one audit record.
"""

from um.core.account import AuditRecord
from um.core.errors import InvalidError
from um.core.ids import AccountId
from um.core.message import INBOX, Mailbox, MessageKind
from um.core.ports import Clock, Store, Transaction
from um.policy.views import KINDS, folder_for, unused, used, usual_name, view_key
from um.service.homes import home_txn
from um.service.mailbox_folders import TRASH_USE, create_txn
from um.service.recipients import named_txn
from um.service.settings import AccountSettings


class Views:
    """Folders by kind, of accounts by name."""

    def __init__(self, store: Store, clock: Clock, settings: AccountSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    async def chosen(self, name: str) -> dict[MessageKind, str]:
        """The folder of each kind, INBOX among them. Raises NotFoundError."""

        def chosen_txn(tx: Transaction) -> dict[MessageKind, str]:
            account = named_txn(tx, name, self._settings.domain)
            homes = {kind: home_txn(tx, account.id, kind) for kind in KINDS}
            return {kind: home.name if home else INBOX for kind, home in homes.items()}

        return await self._store.read("views", chosen_txn)

    async def choose(
        self, name: str, kind: MessageKind, folder: str | None, *, actor: str = "operator"
    ) -> None:
        """Put new messages of that kind into `folder`, which is made if it is missing.

        None is a folder with the usual name in the account's language; INBOX ends it. Raises
        NotFoundError, InvalidError.
        """
        if kind not in KINDS:
            raise InvalidError(f"A {kind} has no folder of its own")

        def choose_txn(tx: Transaction) -> None:
            account = named_txn(tx, name, self._settings.domain)
            chosen = tx.accounts.preferences(account.id)
            if folder is None and folder_for(chosen, kind) is not None:
                return  # it has one, whatever it is called by now
            wanted = usual_name(kind, account.language) if folder is None else folder
            if wanted.isascii() and wanted.upper() == INBOX:
                value = unused(chosen.get(view_key(kind)))
            else:
                value = used(_folder_txn(tx, account.id, wanted).id)
            tx.accounts.set_preference(account.id, view_key(kind), value)
            at = self._clock.now()
            tx.records.audit(AuditRecord(at, actor, "view", account.id, f"{kind}: {wanted}"))

        await self._store.run("choose-view", choose_txn)


def _folder_txn(tx: Transaction, account_id: AccountId, name: str) -> Mailbox:
    mailbox = tx.mailboxes.by_name(account_id, name) or create_txn(tx, account_id, name)
    if mailbox.special_use == TRASH_USE:
        raise InvalidError("New messages cannot be put into Trash")
    return mailbox
