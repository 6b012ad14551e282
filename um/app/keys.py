"""Which key map the telephone menus have, as the configuration says."""

from um.config import Config, ConfigurationError
from um.core.errors import InvalidError
from voicemail.keymaps import MAPS, load_keys
from voicemail.menu import KeyMap


def key_map(config: Config) -> KeyMap:
    """[telephony] `key_map` or `key_map_file`. Raises ConfigurationError for a file that is wrong."""
    path = config.telephony.key_map_file
    if path is None:
        return MAPS[config.telephony.key_map]
    try:
        return load_keys(path)
    except InvalidError as error:
        raise ConfigurationError(f"telephony.key_map_file: {error.public}") from error
