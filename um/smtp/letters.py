"""The wording of mail that leaves the house: Jinja2 templates, an operator's own before ours.

Laws:
- `NAME.LANGUAGE.txt` begins with `Subject: …` and an empty line; `NAME.LANGUAGE.html` is a whole page
  in which every value is escaped.
- A template of the operator's that fails is told in the log, and ours is used: no mail waits for it.
"""

from collections.abc import Mapping
from pathlib import Path

import structlog
from jinja2 import (
    BaseLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    select_autoescape,
)

from um.core.letter import Letter
from um.core.ports import Metrics, NoMetrics

log = structlog.get_logger(__name__)

LANGUAGES = ("en", "fr", "es")
_SUBJECT = "Subject:"


class TemplateLetters:
    """`um.core.ports.Letters`.

    Args:
        folder: the operator's own templates; they need not be there.
        metrics: counts `template_failures`.
    """

    def __init__(self, folder: Path, metrics: Metrics | None = None) -> None:
        self._own = _environment(FileSystemLoader(folder))
        self._ours = _environment(PackageLoader("um.smtp"))
        self._folder = folder
        self._metrics = metrics or NoMetrics()

    def write(self, name: str, language: str, values: Mapping[str, object]) -> Letter:
        """The letter, in English if there is none in that language."""
        primary = language[:2].lower()
        chosen = primary if primary in LANGUAGES else LANGUAGES[0]
        return Letter(
            *_subject_and_text(self._render(f"{name}.{chosen}.txt", values)),
            html=self._render(f"{name}.{chosen}.html", values),
        )

    def _render(self, file: str, values: Mapping[str, object]) -> str:
        if (self._folder / file).is_file():
            try:
                return self._own.get_template(file).render(values)
            except (TemplateError, OSError, ValueError, TypeError, ArithmeticError) as error:
                log.error("template failed, ours is used", file=file, error=str(error))  # noqa: TRY400 - the operator's words, not our stack
                self._metrics.count("template_failures")
        return self._ours.get_template(file).render(values)


def _environment(loader: BaseLoader) -> Environment:
    return Environment(
        loader=loader,
        autoescape=select_autoescape(["html"], default_for_string=True, default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=True,
    )


def _subject_and_text(rendered: str) -> tuple[str, str]:
    first, _, rest = rendered.partition("\n")
    if not first.startswith(_SUBJECT):
        return "", rendered
    return first.removeprefix(_SUBJECT).strip(), rest.lstrip("\n")
