"""Keys that are read and checked but do nothing yet; `um check-config` names those that a file sets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from um.config.models import Config


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Inactive:
    """Why a key does nothing, and for which of its values that is so."""

    reason: str
    applies: Callable[[Any], bool] = _always


INACTIVE: dict[str, Inactive] = {}


def inactive_keys(config: Config) -> dict[str, str]:
    """The keys that `config`'s file sets and that do nothing: key path to reason."""
    return {
        key: inactive.reason
        for key, inactive in INACTIVE.items()
        if _is_set(config, key) and inactive.applies(_value(config, key))
    }


def _is_set(config: Config, key: str) -> bool:
    section, _, name = key.partition(".")
    return name in getattr(config, section).model_fields_set


def _value(config: Config, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name)
