"""Steps that speak and take keys, while they run."""

from voicemail.events import Words
from voicemail.menu import Action
from voicemail.running import Running, Speaker
from voicemail.steps import Choice, Choose, Collect, Do, Say
from voicemail.wording import in_keys

NOT_UNDERSTOOD: Words = ("vm-sorry",)


class Saying(Running):
    """Speaks; a key cuts it short."""

    step: Say

    def begin(self) -> None:
        typed = self.line.typed
        if typed and self._only_skips(typed[0]):
            typed.popleft()
            self.line.done(None)
        elif typed or not self.step.words:
            self.line.done(None)
        else:
            self.speak(self._words())

    def _words(self) -> Words:
        context = self.step.context
        return in_keys(self.step.words, context, self.line.keys) if context else self.step.words

    def key(self, digit: str) -> None:
        if not self._only_skips(digit):
            super().key(digit)
        self.hush()
        self.line.done(None)

    def _only_skips(self, digit: str) -> bool:
        context = self.step.context
        return context is not None and self.line.keys.get(context, {}).get(digit) is Action.SKIP

    def spoken(self) -> None:
        self.line.done(None)


class Choosing(Running):
    """Speaks a menu and waits for a key of it."""

    step: Choose
    tries = 0

    def begin(self) -> None:
        if self.line.typed:
            self.key(self.line.typed.popleft())
        else:
            self.speak(self._words())

    def key(self, digit: str) -> None:
        self.hush()
        action = self.line.keys.get(self.step.context, {}).get(digit)
        if action is not None:
            self.line.done(Choice(action, digit))
        else:
            self.line.typed.clear()
            self._again(NOT_UNDERSTOOD)

    def spoken(self) -> None:
        self.deadline = self.line.now + self.line.timers.menu_seconds

    def expired(self) -> None:
        self._again(())

    def _again(self, before: Words) -> None:
        self.tries += 1
        self.deadline = None
        if self.tries >= self.line.timers.menu_tries:
            self.line.done(None)
        else:
            self.speak(before + self._words())

    def _words(self) -> Words:
        return in_keys(self.step.words, self.step.context, self.line.keys)


class Collecting(Running):
    """Takes digits."""

    step: Collect

    def __init__(self, line: Speaker, step: Collect) -> None:
        super().__init__(line, step)
        self.digits = ""
        self.latest: float | None = None
        """When all digits must be there."""

    def begin(self) -> None:
        if not self.line.typed:
            self.speak(self.step.words)
        while self.line.typed:
            if self._type(self.line.typed.popleft()):
                return

    def key(self, digit: str) -> None:
        self._type(digit)

    def _type(self, digit: str) -> bool:
        """Take a key; whether the digits are complete."""
        self.hush()
        self._start()
        if digit == "*" and not self.digits:
            self.digits = "*"
        elif digit.isdigit():
            self.digits += digit
        if digit == "#" or self.digits == "*" or len(self.digits) >= self.line.timers.most_digits:
            self.line.done(self.digits)
            return True
        latest = self._start()
        self.deadline = min(latest, self.line.now + self.line.timers.between_digits_seconds)
        return False

    def spoken(self) -> None:
        self.deadline = self._start()

    def expired(self) -> None:
        self.line.done(self.digits)

    def _start(self) -> float:
        if self.latest is None:
            self.latest = self.line.now + self.line.timers.all_digits_seconds
        return self.latest


class Doing(Running):
    """Waits for what is done outside."""

    step: Do

    def begin(self) -> None:
        self.line.perform(self.step.request)

    def answered(self, result: object) -> None:
        self.line.done(result)
