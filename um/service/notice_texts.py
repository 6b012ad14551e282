"""What notices to owners say, in the languages that the telephone speaks. Data.

A text takes its values by name (`str.format`); `decimal` is how the language writes a fraction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class NoticeText:
    """Subject and text of one notice in one language."""

    subject: str
    text: str


FALLBACK_LANGUAGE = "en"
DECIMAL_POINTS: Mapping[str, str] = MappingProxyType({"en": ".", "fr": ",", "es": ","})

QUOTA: Mapping[str, NoticeText] = MappingProxyType(
    {
        "en": NoticeText(
            "Your mailbox is {percent} % full",
            "Your mailbox holds {used} MB of {limit} MB.\n"
            "\n"
            "When it is full, no new voice messages, faxes, invoices or other mail can come in.\n"
            "Messages that you delete for good make room: what lies in Trash counts as well.\n",
        ),
        "fr": NoticeText(
            "Votre boîte est pleine à {percent} %",
            "Votre boîte contient {used} Mo sur {limit} Mo.\n"
            "\n"
            "Quand elle est pleine, ni messages vocaux, ni télécopies, ni factures, ni autre\n"
            "courrier ne peuvent arriver. Les messages effacés définitivement font de la place :\n"
            "ce qui se trouve dans la corbeille compte aussi.\n",
        ),
        "es": NoticeText(
            "Su buzón está lleno al {percent} %",
            "Su buzón contiene {used} MB de {limit} MB.\n"
            "\n"
            "Cuando está lleno no pueden entrar mensajes de voz, faxes, facturas ni otro correo.\n"
            "Los mensajes borrados definitivamente dejan espacio: lo que está en la papelera\n"
            "también cuenta.\n",
        ),
    }
)
"""Values: percent, used, limit."""

PIN_LOCKED: Mapping[str, NoticeText] = MappingProxyType(
    {
        "en": NoticeText(
            "The PIN of your mailbox is locked",
            "A wrong PIN was entered {failures} times within 24 hours, the last time from\n"
            "{caller}.\n"
            "\n"
            "Until 24 hours have passed your mailbox cannot be opened by phone with its PIN. Mail\n"
            "programs are not affected. A new PIN, which your provider can set for you, ends the\n"
            "lock at once.\n",
        ),
        "fr": NoticeText(
            "Le NIP de votre boîte vocale est verrouillé",
            "Un mauvais NIP a été entré {failures} fois en 24 heures, la dernière fois depuis\n"
            "{caller}.\n"
            "\n"
            "Pendant 24 heures, votre boîte ne peut pas être ouverte par téléphone avec son NIP.\n"
            "Les logiciels de courrier ne sont pas touchés. Un nouveau NIP, que votre fournisseur\n"
            "peut définir pour vous, lève le verrou aussitôt.\n",
        ),
        "es": NoticeText(
            "El PIN de su buzón está bloqueado",
            "Se marcó un PIN incorrecto {failures} veces en 24 horas, la última vez desde\n"
            "{caller}.\n"
            "\n"
            "Durante 24 horas su buzón no se puede abrir por teléfono con el PIN. Los programas\n"
            "de correo no están afectados. Un PIN nuevo, que su proveedor puede fijar por usted,\n"
            "levanta el bloqueo de inmediato.\n",
        ),
    }
)
"""Values: failures, caller."""

WITHHELD: Mapping[str, str] = MappingProxyType(
    {
        "en": "a withheld number",
        "fr": "un numéro masqué",
        "es": "un número oculto",
    }
)
"""The caller who did not say who it is."""


def spoken_language(language: str) -> str:
    """The language of ours that serves an account's (`fr-CA` is served by `fr`)."""
    primary = language[:2].lower()
    return primary if primary in QUOTA else FALLBACK_LANGUAGE
