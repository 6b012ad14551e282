"""What goes into the dialogues of a call and what comes out: values only."""

from dataclasses import dataclass, field

from um.core.errors import UMError


@dataclass(frozen=True, slots=True)
class Clip:
    """Sound of someone's own: a greeting, a message. Linear samples, native order."""

    samples: bytes = field(repr=False)


Words = tuple[str | Clip, ...]
"""Prompts, by name, and clips in the order in which they are spoken."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The call is up: media flows."""


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """What the caller said: linear samples, native order."""

    samples: bytes


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """One key press."""

    digit: str


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """All that was to be spoken has been."""


@dataclass(frozen=True, slots=True)
class TimerExpired:
    """The time of `get_timer` may have come."""


@dataclass(frozen=True, slots=True)
class Saved:
    """The recording is durable: it may be acknowledged."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The recording can go no further: the disk is full or the storage is gone."""


@dataclass(frozen=True, slots=True)
class TransferRefused:
    """The core does not connect the caller with the operator: the call goes on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over, whoever ended it."""


@dataclass(frozen=True, slots=True)
class Replied:
    """What `Perform` asked for is done."""

    result: object


@dataclass(frozen=True, slots=True)
class Refused:
    """What `Perform` asked for could not be done."""

    error: UMError


Event = (
    Answered
    | AudioReceived
    | DigitPressed
    | PlaybackFinished
    | TimerExpired
    | Saved
    | Failed
    | TransferRefused
    | Ended
    | Replied
    | Refused
)


@dataclass(frozen=True, slots=True)
class Play:
    """Speak these prompts; `PlaybackFinished` is due when they are through."""

    prompts: Words


@dataclass(frozen=True, slots=True)
class StopPlaying:
    """Fall silent at once."""


@dataclass(frozen=True, slots=True)
class StartRecording:
    """From now on there is a message."""


@dataclass(frozen=True, slots=True)
class Record:
    """These samples belong to the message."""

    samples: bytes


@dataclass(frozen=True, slots=True)
class Finish:
    """The message is complete. `keep`: make it durable, answer `Saved` or `Failed`, deliver it.

    Without `keep` it is a missed call: nothing is stored but a line in the history.
    """

    keep: bool
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """The caller looks back at the recording: make durable what there is."""


@dataclass(frozen=True, slots=True)
class PlayRecording:
    """Speak the latest recording; `PlaybackFinished` is due at its end."""


@dataclass(frozen=True, slots=True)
class RecordAgain:
    """What is recorded from now on is meant to replace what was."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Connect the caller with the operator; `Ended` follows, or `TransferRefused`."""


@dataclass(frozen=True, slots=True)
class LogIn:
    """The caller is the owner and wants to listen: no message is left."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Perform:
    """Do this outside (`voicemail.requests`); answer `Replied` or `Refused`."""

    request: object


Output = (
    Play
    | StopPlaying
    | StartRecording
    | Record
    | Finish
    | Pause
    | PlayRecording
    | RecordAgain
    | Transfer
    | LogIn
    | HangUp
    | Perform
)
