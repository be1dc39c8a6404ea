"""What the pages say, by language (BCP 47); the first is the fallback."""

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "group": "Take these off the record?",
        "left": "Taken off the record.",
        "preferences": "What may we play you?",
        "invalid": "This link is not valid.",
        "unavailable": "Nothing was saved. Please try again in a few minutes.",
        "unshown": "This page cannot be shown now. Please open it again in a few minutes.",
        "everything": "All messages",
        "leave": "Unsubscribe",
        "save": "Save",
        "return": "Subscribe again",
        "choose": "Choose what you receive",
        "saved": "Your choices are saved.",
        "test": "This link comes from a test message: nothing you do here is saved.",
    },
    "fr": {
        "group": "On arrête ce disque ?",
        "left": "C’est arrêté.",
        "preferences": "Que pouvons-nous vous jouer ?",
        "invalid": "Ce lien n’est pas valable.",
        "unavailable": "Rien n’a été enregistré. Réessayez dans quelques minutes.",
        "unshown": "Cette page ne peut pas s’afficher. Rouvrez-la dans quelques minutes.",
        "everything": "Tous les messages",
        "leave": "Se désabonner",
        "save": "Enregistrer",
        "return": "Se réabonner",
        "choose": "Choisir ce que vous recevez",
        "saved": "Vos choix sont enregistrés.",
        "test": "Ce lien vient d’un message d’essai : rien n’est enregistré.",
    },
}
