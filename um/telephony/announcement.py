"""The application of a call that is not taken but told why: answer, speak, hang up."""

from um.telephony.application import Call, EndReason


class Announcement:
    """Implements `CallApplication`. `samples` as `Call.play` takes them."""

    def __init__(self, call: Call, samples: bytes) -> None:
        self._call = call
        self._samples = samples
        call.answer()

    def answered(self) -> None:
        self._call.play(self._samples)

    def audio(self, samples: bytes) -> None:
        """What the caller says is not kept."""

    def digit(self, digit: str) -> None:
        """Keys mean nothing here."""

    def playback_finished(self) -> None:
        self._call.hang_up()

    def ended(self, reason: EndReason) -> None:
        """Nothing is held."""
