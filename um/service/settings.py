"""What the operator decides for all accounts ([server] and [policy] of the configuration)."""

from dataclasses import dataclass

from um.policy.pin import MAX_DIGITS, MIN_DIGITS


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Defaults of new accounts, and the terms that hold for all."""

    domain: str
    default_region: str = "CA"
    """ISO 3166: how national numbers are read."""
    timezone: str = "UTC"
    language: str = "en"
    quota_octets: int = 104_857_600
    number_hold_months: int = 2
    purge_after_months: int = 2
    min_pin_digits: int = MIN_DIGITS
    max_pin_digits: int = MAX_DIGITS
    min_password_characters: int = 8
    reset_after_hours: int = 24
    """How long an address is confirmed before a forgotten password's link goes there."""
