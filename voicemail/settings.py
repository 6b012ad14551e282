"""The numbers of voicemail, with the product's defaults."""

from dataclasses import dataclass, field

from um.mime.build import AudioFormat
from voicemail.dialogue import Limits
from voicemail.keymaps import ASTERISK
from voicemail.menu import KeyMap


@dataclass(frozen=True, slots=True)
class VoicemailSettings:
    """What an operator may set. Durations in seconds."""

    domain: str
    """Of the addresses in a message's From and To."""
    limits: Limits = field(default_factory=Limits)
    keys: KeyMap = field(default_factory=lambda: ASTERISK)
    """What each key asks for."""
    audio_format: AudioFormat = AudioFormat.MP3
    review: bool = True
    """After `#` the caller may hear, replace and mark the message, unless the owner says no."""
    operator: str | None = None
    """Whom the core connects a caller with who asks for the operator; None: nobody."""
    sync_seconds: float = 5.0
    """So much of a recording may be lost with the machine, no more."""
    longest_file_seconds: int = 3600
    """Of an audio file that the command line delivers."""
    retry_seconds: tuple[float, ...] = (1, 2, 5, 10, 30, 60)
    """Pauses between tries while the storage is gone; the last one repeats."""
