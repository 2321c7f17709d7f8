"""What a patient is to bring, in Spanish: by the shipped English words, so that words of a site's own are not taken for these.

Not yet reviewed by a human translator, as `own_spanish`. A site writes its own in ``plain_es`` of its kinds.
"""

from mappings.model.checklist import Kind
from mappings.model.private_link import Language

SPANISH_KINDS: dict[str, str] = {
    "The actual glass slides with your tissue, not a picture of them": "Los vidrios con su muestra. No una foto de ellos",
    "The stored block of tissue": "El bloque que se guardó con su muestra",
    "Slides of blood or bone marrow": "Los vidrios con su sangre o con la médula de sus huesos",
    "A disc with the scan pictures": "Un disco con las imágenes de sus estudios",
    "A disc with the heart ultrasound": "Un disco con el ultrasonido de su corazón",
    "A disc with the heart catheter pictures": "Un disco con las imágenes del cateterismo de su corazón",
    "A disc with the EEG": "Un disco con el estudio de su cerebro (EEG)",
}


def plain(language: str, kind: Kind) -> str | None:
    """What a patient calls it in that language; None when nobody wrote that."""
    if language == Language.SPANISH:
        return kind.plain_es or SPANISH_KINDS.get(kind.plain)
    return kind.plain
