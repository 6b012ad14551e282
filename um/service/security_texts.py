"""What owners are told when something changed that opens their mailbox. Data, as `notice_texts`."""

from collections.abc import Mapping
from types import MappingProxyType

from um.service.notice_texts import NoticeText

ADDRESS_CONFIRMED: Mapping[str, NoticeText] = MappingProxyType(
    {
        "en": NoticeText(
            "{address} was added to your mailbox",
            "Somebody who knows your password added the address {address} to your\n"
            "mailbox, and it was confirmed. Copies of your messages may go there now, as you set it,\n"
            "and after {hours} hours links for a forgotten password, too.\n"
            "\n"
            "If this was not you, remove the address and change your password, or ask your\n"
            "provider, within these {hours} hours.\n",
        ),
        "fr": NoticeText(
            "{address} a été ajoutée à votre boîte",
            "Quelqu'un qui connaît votre mot de passe a ajouté l'adresse {address}\n"
            "à votre boîte, et elle a été confirmée. Des copies de vos messages peuvent y être\n"
            "envoyées, selon vos réglages, et après {hours} heures aussi les liens pour un mot de\n"
            "passe oublié.\n"
            "\n"
            "Si ce n'était pas vous, retirez l'adresse et changez votre mot de passe, ou parlez-en\n"
            "à votre fournisseur, avant la fin de ces {hours} heures.\n",
        ),
        "es": NoticeText(
            "Se añadió {address} a su buzón",
            "Alguien que conoce su contraseña añadió la dirección {address} a su\n"
            "buzón, y fue confirmada. Desde ahora pueden enviarse allí copias de sus mensajes, según\n"
            "sus ajustes, y pasadas {hours} horas también los enlaces para una contraseña olvidada.\n"
            "\n"
            "Si no fue usted, quite la dirección y cambie su contraseña, o avise a su proveedor,\n"
            "antes de que pasen esas {hours} horas.\n",
        ),
    }
)
"""Values: address, hours."""

PASSWORD_RESET: Mapping[str, NoticeText] = MappingProxyType(
    {
        "en": NoticeText(
            "The password of your mailbox was set anew",
            "Somebody followed the link for a forgotten password and set a new one. All sessions and\n"
            "the passwords of mail programs have ended: sign in with the new password, and make new\n"
            "app passwords where you use them.\n"
            "\n"
            "If this was not you, somebody reads the mail of one of your confirmed addresses. Ask\n"
            "your provider for a new password and to remove that address.\n",
        ),
        "fr": NoticeText(
            "Le mot de passe de votre boîte a été redéfini",
            "Quelqu'un a suivi le lien pour un mot de passe oublié et en a défini un nouveau. Toutes\n"
            "les sessions et les mots de passe des logiciels de courrier sont terminés : connectez-\n"
            "vous avec le nouveau, et créez de nouveaux mots de passe d'application si besoin.\n"
            "\n"
            "Si ce n'était pas vous, quelqu'un lit le courrier d'une de vos adresses confirmées.\n"
            "Demandez à votre fournisseur un nouveau mot de passe et le retrait de cette adresse.\n",
        ),
        "es": NoticeText(
            "Se fijó una contraseña nueva para su buzón",
            "Alguien siguió el enlace para una contraseña olvidada y fijó una nueva. Terminaron todas\n"
            "las sesiones y las contraseñas de los programas de correo: entre con la nueva, y cree\n"
            "contraseñas de aplicación nuevas donde las use.\n"
            "\n"
            "Si no fue usted, alguien lee el correo de una de sus direcciones confirmadas. Pida a su\n"
            "proveedor una contraseña nueva y que quite esa dirección.\n",
        ),
    }
)
"""Takes no values."""
