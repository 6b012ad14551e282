"""One tree of errors, without any protocol's numbers.

Each edge has one table that turns `code` into its own words (`NO [OVERQUOTA]`, `552 5.2.2`, 507,
a prompt). `public` may be shown to the peer; the cause is chained and goes to the log only.
"""

from typing import ClassVar


class UMError(Exception):
    """The base.

    Args:
        public: one sentence for the peer; the class's own if left out.
        why: names the reason for those who say it in another language; empty: the class says it all.
        values: what stands in that sentence.
    """

    code: ClassVar[str] = "error"
    temporary: ClassVar[bool] = False
    default: ClassVar[str] = "The request could not be carried out"

    def __init__(self, public: str | None = None, *, why: str = "", **values: object) -> None:
        self.public = public or self.default
        self.why = why
        self.values = values
        super().__init__(self.public)


class NotFoundError(UMError):
    """No such account, number, mailbox or message."""

    code = "not-found"
    default = "There is no such thing"


class AlreadyExistsError(UMError):
    """The name or number is taken."""

    code = "already-exists"
    default = "It exists already"


class InvalidError(UMError):
    """A value is malformed or not allowed."""

    code = "invalid"
    default = "The value is not valid"


class QuotaExceededError(UMError):
    """The mailbox has no room for it (RFC 9208 OVERQUOTA)."""

    code = "quota-exceeded"
    default = "Mailbox is full"


class TooLargeError(UMError):
    """One message is larger than any message may be."""

    code = "too-large"
    default = "Message is too large"


class AccountSuspendedError(UMError):
    """The account is suspended: read only, with the reason."""

    code = "account-suspended"
    temporary = True
    default = "Account is suspended"


class AccountClosedError(UMError):
    """The account is closed: refused for good."""

    code = "account-closed"
    default = "Account is closed"


class AuthenticationError(UMError):
    """Wrong name or password; deliberately the same for both."""

    code = "authentication-failed"
    default = "Authentication failed"


class ForbiddenError(UMError):
    """Who asks is known, and may not do this."""

    code = "forbidden"
    default = "This is not allowed"


class LegalHoldError(UMError):
    """Nothing of this account may be deleted. The owner is not told why."""

    code = "legal-hold"
    default = "Messages of this account cannot be deleted for the time being"


class LockedOutError(UMError):
    """Too many failures; correct credentials do not help until it is lifted."""

    code = "locked-out"
    temporary = True
    default = "Too many failed attempts, try again later"


class ReadOnlyError(UMError):
    """The session may look but not change."""

    code = "read-only"
    default = "Mailbox is read-only"


class UnavailableError(UMError):
    """Disk full, database locked or gone: nothing was changed, try again."""

    code = "unavailable"
    temporary = True
    default = "Storage is not available for the moment"


class RefusedDocumentError(UMError):
    """A TIFF, PDF, audio file or message that cannot be taken, with the reason."""

    code = "refused-document"
    default = "The document could not be read"


class LifeCycleError(UMError):
    """A move that the account's life cycle does not have."""

    code = "life-cycle"
    default = "The account's state does not allow this"


class RelayDeferredError(UMError):
    """The relay (or webhook) did not take it now, or its answer never came: try again."""

    code = "relay-deferred"
    temporary = True
    default = "The mail could not be handed over for now"


class RelayRefusedError(UMError):
    """The relay (or webhook) will never take it. `public` holds what it said."""

    code = "relay-refused"
    default = "The mail was refused"
