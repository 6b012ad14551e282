"""A number's facts as a core wants to read them: JSON, one line of text, or a single value."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from um.core.errors import InvalidError
from um.service.core_desk import NumberFacts

FIELDS: Mapping[str, Callable[[NumberFacts], object]] = MappingProxyType(
    {
        "ring": lambda facts: facts.ring_seconds,
        "voicemail": lambda facts: "on" if facts.voicemail else "off",
        "state": lambda facts: facts.state.value,
        "use": lambda facts: facts.use.value,
        "number": lambda facts: facts.number,
        "voice_new": lambda facts: facts.voice.new,
        "voice_old": lambda facts: facts.voice.old,
        "fax_new": lambda facts: facts.fax.new,
        "fax_old": lambda facts: facts.fax.old,
    }
)
"""Names in the text forms, in their order."""
SEPARATORS: Mapping[str, str] = MappingProxyType({"text": ",", "form": "&"})
"""`text` for `Set(ARRAY…)` and `CUT()`, `form` for Asterisk's `CURLOPT(hashcompat)`."""
_ALIASES = MappingProxyType({"ring_seconds": "ring"})


def as_json(facts: NumberFacts) -> dict[str, Any]:
    """The JSON document."""
    return {
        "number": facts.number,
        "state": facts.state.value,
        "voicemail": facts.voicemail,
        "ring_seconds": facts.ring_seconds,
        "use": facts.use.value,
        "voice": asdict(facts.voice),
        "fax": asdict(facts.fax),
    }


def as_line(facts: NumberFacts, separator: str) -> str:
    """`ring=20,voicemail=on,state=active,…`; no value holds a separator but the number's `+`."""
    return separator.join(
        f"{name}={_escaped(read(facts), separator)}" for name, read in FIELDS.items()
    )


def value(facts: NumberFacts, name: str) -> str:
    """One field alone. Raises InvalidError for a name that is none."""
    read = FIELDS.get(_ALIASES.get(name, name))
    if read is None:
        raise InvalidError(f"field is one of {', '.join((*FIELDS, *_ALIASES))}")
    return str(read(facts))


def _escaped(text: object, separator: str) -> str:
    """In a form a `+` would be read as a space."""
    return str(text).replace("+", "%2B") if separator == "&" else str(text)
