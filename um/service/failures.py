"""Wrong secrets that the store could not note down: counted here until a day has passed.

Laws:
- Nothing but a stopgap: it lasts as long as the process and counts for no other.
- Its size is bounded; when it is full, the subject whose last failure is the oldest goes.
- Read from any thread, changed by one.
"""

from collections.abc import Iterable
from datetime import datetime

from um.policy.lockout import WINDOW

MAX_SUBJECTS = 10_000


class UnwrittenFailures:
    """Failures by subject, as `um.core.ports.Lockouts` counts them."""

    def __init__(self, max_subjects: int = MAX_SUBJECTS) -> None:
        self._max_subjects = max_subjects
        self._of: dict[str, tuple[datetime, ...]] = {}
        """Tuples are replaced, never changed, so that a reader in another thread sees one whole."""

    def failures(self, subject: str, *, since: datetime) -> int:
        """How many lie at or after `since`."""
        return sum(at >= since for at in self._of.get(subject, ()))

    def record(self, subjects: Iterable[str], at: datetime) -> None:
        """Count one failure for each of the subjects."""
        for subject in subjects:
            if subject not in self._of and len(self._of) >= self._max_subjects:
                del self._of[min(self._of, key=lambda each: self._of[each][-1])]
            kept = [each for each in self._of.get(subject, ()) if each >= at - WINDOW]
            self._of[subject] = (*kept, at)

    def clear(self, subjects: Iterable[str]) -> None:
        """Forget the failures of the subjects."""
        for subject in subjects:
            self._of.pop(subject, None)
