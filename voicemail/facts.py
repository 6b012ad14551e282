"""What is known of a message besides its sound: the facts of its call, and how its samples are kept."""

from collections.abc import Mapping
from dataclasses import replace

from um.service.call_facts import CallFacts
from voicemail.recorder import SAMPLE_FORMAT

KIND = "voice"
URGENT = "urgent"
"""Added when the entry is sealed."""

TAKEN = "voice"
MISSED = "missed-voice"
"""Kinds of the history's lines, with `um.service.history.REFUSED`."""


def write_facts(call: CallFacts) -> dict[str, str]:
    """As the spool keeps them."""
    return call.write(KIND) | {"sample_format": SAMPLE_FORMAT}


def read_facts(facts: Mapping[str, str]) -> CallFacts:
    """From the spool. Raises KeyError or ValueError if they are not what `write_facts` wrote."""
    if facts["sample_format"] != SAMPLE_FORMAT:
        raise ValueError(f"unknown sample format {facts['sample_format']!r}")
    return replace(CallFacts.read(facts), urgent=facts.get(URGENT) == "yes")
