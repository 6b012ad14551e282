"""What an owner has decided about the telephone, as preferences of the account."""

from collections.abc import Mapping
from types import MappingProxyType

SKIP_PIN = "phone.skip-pin"
"""`yes`: the own line opens the mailbox without the PIN."""
REVIEW = "voicemail.review"
"""`no`: after `#` callers cannot hear and replace what they said."""
URGENT = "voicemail.urgent"
"""`no`: callers cannot mark a message as urgent."""
STAR_LOGIN = "voicemail.star-login"
"""`yes`: `*` during the greeting asks for the PIN."""

DEFAULTS: Mapping[str, bool] = MappingProxyType(
    {SKIP_PIN: False, REVIEW: True, URGENT: True, STAR_LOGIN: False}
)


def is_on(preferences: Mapping[str, str], key: str, *, default: bool | None = None) -> bool:
    """Whether the owner has it on; `default` in place of the product's where nothing was chosen."""
    value = preferences.get(key)
    if value is None:
        return DEFAULTS[key] if default is None else default
    return value == "yes"
