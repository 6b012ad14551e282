"""The words of the prompts that no sound pack has, in the languages that Debian has packs for. Data."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": MappingProxyType(
            {
                "um-mailbox-is": "Your mailbox is",
                "um-percent-full": "percent full.",
                "um-fax": "new fax.",
                "um-faxes": "new faxes.",
                "um-invoice": "new invoice.",
                "um-invoices": "new invoices.",
                "um-welcome": "Welcome to your mailbox. First, please choose a password.",
                "um-mailbox": "Please enter the mailbox number, then press the pound key.",
                "um-locked": "This mailbox is locked, because a wrong password was entered too "
                "often. Please try again later.",
                "um-account-closed": "This account is closed.",
                "um-account-suspended": "This account is suspended. You can listen to your "
                "messages, but change nothing.",
                "um-send-outside": "Press six to send your new faxes and invoices to your mail address.",
                "um-sent-outside": "Your faxes and invoices are on their way to your mail address.",
                "um-nothing-to-send": "There are no new faxes and no new invoices.",
                "um-no-address": "No mail address of yours has been confirmed yet.",
            }
        ),
        "fr": MappingProxyType(
            {
                "um-mailbox-is": "Votre boîte vocale est pleine à",
                "um-percent-full": "pour cent.",
                "um-fax": "nouvelle télécopie.",
                "um-faxes": "nouvelles télécopies.",
                "um-invoice": "nouvelle facture.",
                "um-invoices": "nouvelles factures.",
                "um-welcome": "Bienvenue dans votre boîte vocale. Veuillez d'abord choisir un mot "
                "de passe.",
                "um-mailbox": "Entrez le numéro de la boîte vocale, puis appuyez sur la touche "
                "dièse.",
                "um-locked": "Cette boîte vocale est verrouillée, car un mauvais mot de passe a "
                "été entré trop souvent. Veuillez réessayer plus tard.",
                "um-account-closed": "Ce compte est fermé.",
                "um-account-suspended": "Ce compte est suspendu. Vous pouvez écouter vos "
                "messages, mais rien modifier.",
                "um-send-outside": "Pour envoyer vos nouvelles télécopies et factures à votre adresse de courriel, appuyez sur le six.",
                "um-sent-outside": "Vos télécopies et factures sont en route vers votre adresse de courriel.",
                "um-nothing-to-send": "Il n'y a ni nouvelle télécopie ni nouvelle facture.",
                "um-no-address": "Aucune adresse de courriel n'a encore été confirmée.",
            }
        ),
        "es": MappingProxyType(
            {
                "um-mailbox-is": "Su buzón está lleno al",
                "um-percent-full": "por ciento.",
                "um-fax": "fax nuevo.",
                "um-faxes": "faxes nuevos.",
                "um-invoice": "factura nueva.",
                "um-invoices": "facturas nuevas.",
                "um-welcome": "Bienvenido a su buzón. Primero, elija una contraseña.",
                "um-mailbox": "Marque el número del buzón y pulse la tecla almohadilla.",
                "um-locked": "Este buzón está bloqueado, porque se marcó demasiadas veces una "
                "contraseña incorrecta. Inténtelo más tarde.",
                "um-account-closed": "Esta cuenta está cerrada.",
                "um-account-suspended": "Esta cuenta está suspendida. Puede escuchar sus "
                "mensajes, pero no cambiar nada.",
                "um-send-outside": "Para enviar sus faxes y facturas nuevos a su dirección de correo, pulse seis.",
                "um-sent-outside": "Sus faxes y facturas van camino de su dirección de correo.",
                "um-nothing-to-send": "No hay faxes nuevos ni facturas nuevas.",
                "um-no-address": "Todavía no se ha confirmado ninguna dirección de correo.",
            }
        ),
    }
)
"""By language and prompt. `um-` keeps their names apart from every pack's."""

MENU_TEXTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": MappingProxyType(
            {
                "um-to-listen": "To listen to your messages,",
                "um-to-hear-new": "To hear your new messages,",
                "um-to-hear-saved": "To hear your saved messages,",
                "um-to-change-folder": "To change folders,",
                "um-to-advanced": "For more about this message,",
                "um-to-previous": "For the previous message,",
                "um-to-repeat": "To hear this message again,",
                "um-to-next": "For the next message,",
                "um-to-delete": "To delete this message,",
                "um-to-undelete": "To keep this message after all,",
                "um-to-forward": "To send this message on to another mailbox,",
                "um-to-save": "To save this message in a folder,",
                "um-to-keep": "To keep this message,",
                "um-to-options": "For greetings and password,",
                "um-to-main-menu": "For the main menu,",
                "um-to-help": "For help,",
                "um-to-exit": "To leave,",
                "um-to-cancel": "To cancel,",
                "um-to-accept": "To accept this recording,",
                "um-to-hear": "To listen to it,",
                "um-to-record-again": "To record it again,",
                "um-to-urgent": "To mark this message as urgent,",
                "um-to-unmark": "To mark this message as not urgent,",
                "um-to-envelope": "To hear when this message came, and from whom,",
                "um-to-unavailable": "For the greeting when you do not answer,",
                "um-to-busy": "For the greeting when you are on the phone,",
                "um-to-name": "To record your name,",
                "um-to-temporary": "For a temporary greeting,",
                "um-to-pin": "To change your password,",
                "um-to-erase": "To erase the temporary greeting,",
                "um-to-introduce": "To speak an introduction first,",
                "um-to-send": "To send it as it is,",
                "um-to-operator": "To reach an operator,",
                "um-to-send-outside": "To send your new faxes and invoices to your mail address,",
            }
        ),
        "fr": MappingProxyType(
            {
                "um-to-listen": "Pour écouter vos messages,",
                "um-to-hear-new": "Pour écouter vos nouveaux messages,",
                "um-to-hear-saved": "Pour écouter vos messages conservés,",
                "um-to-change-folder": "Pour changer de dossier,",
                "um-to-advanced": "Pour plus de choix sur ce message,",
                "um-to-previous": "Pour le message précédent,",
                "um-to-repeat": "Pour réécouter ce message,",
                "um-to-next": "Pour le message suivant,",
                "um-to-delete": "Pour effacer ce message,",
                "um-to-undelete": "Pour récupérer ce message,",
                "um-to-forward": "Pour transmettre ce message à une autre boîte,",
                "um-to-save": "Pour classer ce message dans un dossier,",
                "um-to-keep": "Pour conserver ce message,",
                "um-to-options": "Pour les messages d'accueil et le mot de passe,",
                "um-to-main-menu": "Pour le menu principal,",
                "um-to-help": "Pour obtenir de l'aide,",
                "um-to-exit": "Pour quitter,",
                "um-to-cancel": "Pour annuler,",
                "um-to-accept": "Pour accepter cet enregistrement,",
                "um-to-hear": "Pour l'écouter,",
                "um-to-record-again": "Pour l'enregistrer de nouveau,",
                "um-to-urgent": "Pour marquer ce message comme urgent,",
                "um-to-unmark": "Pour marquer ce message comme non urgent,",
                "um-to-envelope": "Pour savoir quand ce message est arrivé et de qui,",
                "um-to-unavailable": "Pour le message d'accueil en votre absence,",
                "um-to-busy": "Pour le message d'accueil quand votre ligne est occupée,",
                "um-to-name": "Pour enregistrer votre nom,",
                "um-to-temporary": "Pour un message d'accueil temporaire,",
                "um-to-pin": "Pour changer votre mot de passe,",
                "um-to-erase": "Pour effacer le message d'accueil temporaire,",
                "um-to-introduce": "Pour enregistrer d'abord une introduction,",
                "um-to-send": "Pour l'envoyer tel quel,",
                "um-to-operator": "Pour joindre la réception,",
                "um-to-send-outside": "Pour envoyer vos nouvelles télécopies et factures à votre adresse de courriel,",
            }
        ),
        "es": MappingProxyType(
            {
                "um-to-listen": "Para escuchar sus mensajes,",
                "um-to-hear-new": "Para escuchar sus mensajes nuevos,",
                "um-to-hear-saved": "Para escuchar sus mensajes guardados,",
                "um-to-change-folder": "Para cambiar de carpeta,",
                "um-to-advanced": "Para más opciones de este mensaje,",
                "um-to-previous": "Para el mensaje anterior,",
                "um-to-repeat": "Para repetir este mensaje,",
                "um-to-next": "Para el mensaje siguiente,",
                "um-to-delete": "Para borrar este mensaje,",
                "um-to-undelete": "Para recuperar este mensaje,",
                "um-to-forward": "Para enviar este mensaje a otro buzón,",
                "um-to-save": "Para guardar este mensaje en una carpeta,",
                "um-to-keep": "Para conservar este mensaje,",
                "um-to-options": "Para los saludos y la contraseña,",
                "um-to-main-menu": "Para el menú principal,",
                "um-to-help": "Para obtener ayuda,",
                "um-to-exit": "Para salir,",
                "um-to-cancel": "Para cancelar,",
                "um-to-accept": "Para aceptar esta grabación,",
                "um-to-hear": "Para escucharla,",
                "um-to-record-again": "Para grabarla de nuevo,",
                "um-to-urgent": "Para marcar este mensaje como urgente,",
                "um-to-unmark": "Para marcar este mensaje como no urgente,",
                "um-to-envelope": "Para saber cuándo llegó este mensaje y de quién,",
                "um-to-unavailable": "Para el saludo de cuando no contesta,",
                "um-to-busy": "Para el saludo de cuando está ocupado,",
                "um-to-name": "Para grabar su nombre,",
                "um-to-temporary": "Para un saludo temporal,",
                "um-to-pin": "Para cambiar su contraseña,",
                "um-to-erase": "Para borrar el saludo temporal,",
                "um-to-introduce": "Para grabar antes una introducción,",
                "um-to-send": "Para enviarlo tal como está,",
                "um-to-operator": "Para hablar con la recepción,",
                "um-to-send-outside": "Para enviar sus faxes y facturas nuevos a su dirección de correo,",
            }
        ),
    }
)
"""What can be done by a key, for menus under another map than the packs' (`voicemail.wording`)."""

LACKING: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "es": MappingProxyType(
            {
                "im-sorry": "Lo siento.",
                "please-try-call-later": "Por favor, llame más tarde.",
                "vm-msgforwarded": "Su mensaje ha sido enviado.",
                "minute": "minuto.",
                "second": "segundo.",
            }
        ),
    }
)
"""What the English pack has and the pack of a language lacks (Debian's 1.6.1)."""
