"""The texts of the health library."""

LIBRARY_TEXTS: dict[str, str | tuple[str, str]] = {
    "library.title": "To read about the diagnosis",
    "library.about": "For {what}",
    "library.intro": "From {source}. Only the code of the diagnosis was sent there, by this server: nothing of the patient.",
    "library.not_advice": "It is general information. It says nothing about this patient, and replaces no conversation with their doctor.",
    "library.language": "Language",
    "library.language.en": "English",
    "library.language.es": "Spanish",
    "library.read": "Read it at {source}",
    "library.read_at": "As of",
    "library.state.off": "No health library is connected here, so nobody was asked. An administrator can add one.",
    "library.state.no-code": "The diagnosis has no code that a library can be asked for (ICD-10-CM or SNOMED CT). Its words are not "
    "sent anywhere.",
    "library.state.empty": "{source} has nothing for this code in this language.",
    "library.state.away": "{source} does not answer just now, or was asked as often as it allows. Try again in a few minutes; "
    "everything else goes on.",
    "library.state.old": "{source} does not answer just now. This is what it said before.",
    "case.part.library": "To read about the diagnosis",
    "library.part": "Something to read for the patient, from {source}.",
}
