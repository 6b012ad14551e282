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

QUOTA_REFUSED: Mapping[str, NoticeText] = MappingProxyType(
    {
        "en": NoticeText(
            "Your mailbox is too full: a message was refused",
            "A message could not come in. Your mailbox holds {used} MB of {limit} MB.\n"
            "\n"
            "Messages that you delete for good make room: what lies in Trash counts as well.\n"
            "You are told of this once, until there was room again.\n",
        ),
        "fr": NoticeText(
            "Votre boîte est trop pleine : un message a été refusé",
            "Un message n'a pas pu arriver. Votre boîte contient {used} Mo sur {limit} Mo.\n"
            "\n"
            "Les messages effacés définitivement font de la place : ce qui se trouve dans la\n"
            "corbeille compte aussi. Cet avis n'est envoyé qu'une fois, jusqu'à ce qu'il y ait de\n"
            "nouveau de la place.\n",
        ),
        "es": NoticeText(
            "Su buzón está demasiado lleno: se rechazó un mensaje",
            "Un mensaje no pudo entrar. Su buzón contiene {used} MB de {limit} MB.\n"
            "\n"
            "Los mensajes borrados definitivamente dejan espacio: lo que está en la papelera\n"
            "también cuenta. Este aviso se envía una sola vez, hasta que vuelva a haber espacio.\n",
        ),
    }
)
"""Values: used, limit."""

COPY_REFUSED: Mapping[str, NoticeText] = MappingProxyType(
    {
        "en": NoticeText(
            "A copy could not be delivered to {address}",
            "The copy of this message was refused by the mail system of {address}:\n"
            "\n"
            "    {subject}\n"
            "\n"
            "It said: {reason}\n"
            "The message itself is in your mailbox. This copy will not be tried again.\n",
        ),
        "fr": NoticeText(
            "Une copie n'a pas pu être remise à {address}",
            "La copie de ce message a été refusée par le système de courrier de {address} :\n"
            "\n"
            "    {subject}\n"
            "\n"
            "Sa réponse : {reason}\n"
            "Le message lui-même est dans votre boîte. Cette copie ne sera plus envoyée.\n",
        ),
        "es": NoticeText(
            "No se pudo entregar una copia a {address}",
            "El sistema de correo de {address} rechazó la copia de este mensaje:\n"
            "\n"
            "    {subject}\n"
            "\n"
            "Su respuesta: {reason}\n"
            "El mensaje está en su buzón. Esta copia no se volverá a enviar.\n",
        ),
    }
)
"""Values: address, subject, reason."""

COPY_GIVEN_UP: Mapping[str, NoticeText] = MappingProxyType(
    {
        "en": NoticeText(
            "A copy could not be delivered to {address}",
            "For {days} days the copy of this message could not be handed over to {address}:\n"
            "\n"
            "    {subject}\n"
            "\n"
            "The last attempt ended with: {reason}\n"
            "The message itself is in your mailbox. This copy will not be tried again.\n",
        ),
        "fr": NoticeText(
            "Une copie n'a pas pu être remise à {address}",
            "Pendant {days} jours, la copie de ce message n'a pas pu être remise à {address} :\n"
            "\n"
            "    {subject}\n"
            "\n"
            "Résultat du dernier essai : {reason}\n"
            "Le message lui-même est dans votre boîte. Cette copie ne sera plus envoyée.\n",
        ),
        "es": NoticeText(
            "No se pudo entregar una copia a {address}",
            "Durante {days} días no se pudo entregar a {address} la copia de este mensaje:\n"
            "\n"
            "    {subject}\n"
            "\n"
            "Resultado del último intento: {reason}\n"
            "El mensaje está en su buzón. Esta copia no se volverá a enviar.\n",
        ),
    }
)
"""Values: address, subject, reason, days."""

ADDRESS_DISABLED: Mapping[str, NoticeText] = MappingProxyType(
    {
        "en": NoticeText(
            "Nothing is sent to {address} any more",
            "Mail to {address} came back {bounces} times in a row. The last time it said:\n"
            "\n"
            "    {reason}\n"
            "\n"
            "No more copies go there, until you add the address again and it is confirmed.\n",
        ),
        "fr": NoticeText(
            "Plus rien n'est envoyé à {address}",
            "Le courrier pour {address} est revenu {bounces} fois de suite. Dernière réponse :\n"
            "\n"
            "    {reason}\n"
            "\n"
            "Aucune copie n'y est plus envoyée, jusqu'à ce que vous ajoutiez de nouveau l'adresse\n"
            "et qu'elle soit confirmée.\n",
        ),
        "es": NoticeText(
            "Ya no se envía nada a {address}",
            "El correo para {address} fue devuelto {bounces} veces seguidas. Última respuesta:\n"
            "\n"
            "    {reason}\n"
            "\n"
            "Ya no se envían copias a esa dirección, hasta que la añada de nuevo y se confirme.\n",
        ),
    }
)
"""Values: address, bounces, reason."""

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
