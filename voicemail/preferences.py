"""What an owner has decided about the telephone, as preferences of the account."""

from collections.abc import Mapping

SKIP_PIN = "phone.skip-pin"
"""`yes`: the own line opens the mailbox without the PIN."""
REVIEW = "voicemail.review"
"""`no`: after `#` callers cannot hear and replace what they said."""
URGENT = "voicemail.urgent"
"""`no`: callers cannot mark a message as urgent."""
STAR_LOGIN = "voicemail.star-login"
"""`yes`: `*` during the greeting asks for the PIN."""


def is_on(preferences: Mapping[str, str], key: str, *, default: bool = False) -> bool:
    """Whether the owner has switched it on."""
    value = preferences.get(key)
    return default if value is None else value == "yes"
