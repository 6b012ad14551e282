"""An owner's rules by kind of message, and the operator's webhook of an account."""

import ipaddress
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from um.core.account import AuditRecord
from um.core.errors import InvalidError, NotFoundError
from um.core.forwarding import CopyRule
from um.core.ids import AccountId
from um.core.message import MessageKind
from um.core.ports import Clock, Store, Transaction
from um.policy.forwarding import KINDS, read_rule, rule_key, write_rule
from um.policy.lifecycle import Door, refusal
from um.policy.outbound import Network, may_reach
from um.service.forward.plan import WEBHOOK_SALT, WEBHOOK_URL
from um.service.forward.signing import Signer

MAX_URL = 2000
MAX_LABEL = 63


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where an account's events are posted, and what signs them."""

    url: str
    secret: str
    """Made from the house's key and in no table; another URL has another."""


class ForwardRules:
    """Shows and sets. Every method means the account it is given; a session passes its own."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        signer: Signer,
        *,
        allowed: Collection[Network] = (),
        new_salt: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._store = store
        self._clock = clock
        self._signer = signer
        self._allowed = allowed
        self._new_salt = new_salt

    async def every(self, account_id: AccountId) -> dict[MessageKind, CopyRule]:
        """The rule of each kind that can have one. Raises NotFoundError."""
        chosen = await self._store.read("list-rules", lambda tx: _preferences_txn(tx, account_id))
        return {kind: read_rule(chosen, kind) for kind in KINDS}

    async def set(
        self,
        account_id: AccountId,
        kind: MessageKind,
        rule: CopyRule,
        *,
        actor: str = "operator",
    ) -> None:
        """Set the rule of one kind; it holds from the next message on.

        Raises InvalidError (a kind without rules), NotFoundError, ReadOnlyError, AccountClosedError.
        """
        if kind not in KINDS:
            raise InvalidError(f"A rule is for {', '.join(KINDS)}")
        now = self._clock.now()

        def set_rule_txn(tx: Transaction) -> None:
            account = tx.accounts.get(account_id)
            if account is None:
                raise NotFoundError("There is no such account")
            if error := refusal(account, Door.PORTAL):
                raise error
            tx.accounts.set_preference(account_id, rule_key(kind), write_rule(rule))
            detail = f"{kind} {rule.mode} {rule.after}"
            tx.records.audit(AuditRecord(now, actor, "forward-rule", account_id, detail))

        await self._store.run("set-rule", set_rule_txn)

    async def webhook(self, account_id: AccountId) -> Webhook | None:
        """The account's webhook. Raises NotFoundError."""
        chosen = await self._store.read("webhook", lambda tx: _preferences_txn(tx, account_id))
        return webhook_of(chosen, account_id, self._signer)

    async def set_webhook(
        self, account_id: AccountId, url: str | None, *, actor: str = "operator"
    ) -> Webhook | None:
        """Set the URL (with a new secret, which is returned), or with None end it.

        For operators only: it makes this server speak to another. Raises InvalidError for a URL
        that is neither https nor loopback, or names an address that is not public nor among
        `allowed`; NotFoundError. What a name leads to is looked at with each post.
        """
        if url is not None:
            check_url(url)
            self._check_place(url)
        now, salt = self._clock.now(), self._new_salt()

        def set_webhook_txn(tx: Transaction) -> dict[str, str]:
            before = _preferences_txn(tx, account_id).get(WEBHOOK_URL)
            if before is not None and before != url:
                tx.outbox.cancel(account_id, before, now)
            tx.accounts.set_preference(account_id, WEBHOOK_URL, url)
            tx.accounts.set_preference(account_id, WEBHOOK_SALT, None if url is None else salt)
            detail = "" if url is None else str(urlsplit(url).hostname)
            tx.records.audit(AuditRecord(now, actor, "webhook", account_id, detail))
            return tx.accounts.preferences(account_id)

        chosen = await self._store.run("set-webhook", set_webhook_txn)
        return webhook_of(chosen, account_id, self._signer)

    def _check_place(self, url: str) -> None:
        host = urlsplit(url).hostname or ""
        if is_address(host) and not may_reach(host, self._allowed):
            raise InvalidError(f"{host} is not public: [web] webhook_networks does not name it")


def is_address(host: str) -> bool:
    """Whether `host` is written as an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def webhook_of(
    preferences: Mapping[str, str], account_id: AccountId, signer: Signer
) -> Webhook | None:
    """The webhook that an account's preferences name."""
    url, salt = preferences.get(WEBHOOK_URL), preferences.get(WEBHOOK_SALT, "")
    return Webhook(url, signer.mac("webhook", account_id, url, salt)) if url else None


def check_url(url: str) -> None:
    """Raises InvalidError unless it is https, or http to this very machine, and carries no secret."""
    try:
        parts = urlsplit(url)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        raise InvalidError("That is not a URL") from None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL
    host = parts.hostname
    if not plain or not host or not _is_host(host) or not port_is_right or parts.fragment:
        raise InvalidError("That is not a URL such as https://crm.example.net/voicemail")
    if "@" in parts.netloc:
        raise InvalidError("A webhook's URL holds no user name: what it gets is signed")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise InvalidError("A webhook's URL is https, or http to a loopback address")


def _is_host(host: str) -> bool:
    """Whether it could be a name or address: labels of 1 to 63 characters (RFC 1035 §2.3.4)."""
    labels = host.removesuffix(".").split(".")
    return all(0 < len(each) <= MAX_LABEL for each in labels)


def is_loopback(host: str) -> bool:
    """Whether `host` is written as an address of this very machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _preferences_txn(tx: Transaction, account_id: AccountId) -> dict[str, str]:
    if tx.accounts.get(account_id) is None:
        raise NotFoundError("There is no such account")
    return tx.accounts.preferences(account_id)
