"""The configuration: pydantic models over one TOML file."""

from um.config.addresses import Listen, Network, contains
from um.config.inactive import INACTIVE, inactive_keys
from um.config.load import ConfigurationError, load, parse
from um.config.models import Config, Role
from um.config.types import SecretUrl, masked

__all__ = [
    "INACTIVE",
    "Config",
    "ConfigurationError",
    "Listen",
    "Network",
    "Role",
    "SecretUrl",
    "contains",
    "inactive_keys",
    "load",
    "masked",
    "parse",
]
