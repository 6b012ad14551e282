"""What the media of a call needs of the server around it, and where it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from um.core.ports import Clock, Metrics
from um.telephony.application import ToneDetector
from um.telephony.beats import Beats
from um.telephony.codec import Codecs
from um.telephony.randomness import Randomness
from um.telephony.settings import TelephonySettings
from um.telephony.transport import MediaPorts


class MediaHouse(Protocol):
    """What the media of a call needs of the server around it."""

    settings: TelephonySettings
    clock: Clock
    metrics: Metrics
    randomness: Randomness
    ports: MediaPorts
    codecs: Codecs
    beats: Beats
    tones: Callable[[], ToneDetector] | None


@dataclass(frozen=True, slots=True)
class Local:
    """Where a call's listener is: what we bind media to, and what we advertise."""

    bind: str
    advertised: str
