"""Reads a configuration file, or says what is wrong with it, key by key."""

import tomllib
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError

from um.config.models import Config
from um.core.errors import UMError


class ConfigurationError(UMError):
    """The file is missing, is no TOML, or has keys or values that we do not take.

    `public` has one problem a line, each beginning with the key's path.
    """

    code: ClassVar[str] = "configuration"
    default: ClassVar[str] = "The configuration is not valid"


def load(path: Path) -> Config:
    """Read the file at `path`. Raises ConfigurationError naming each bad key; never prints values."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigurationError(f"{path}: is a folder, not a file") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: is not TOML: {error}") from None
    return parse(document, path.resolve().parent)


def parse(document: dict[str, Any], folder: Path) -> Config:
    """Check a parsed document; relative paths are taken from `folder`."""
    # A table that is left out still gets its defaults resolved against the file's folder.
    tables = {name: {} for name in Config.model_fields} | document
    try:
        return Config.model_validate(tables, context={"folder": folder})
    except ValidationError as error:
        raise ConfigurationError("\n".join(_problems(error))) from None


def _problems(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, item['loc']))}: {_words(item['type'], item['msg'])}"
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _words(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "unknown key"
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
