"""Why a file is not taken, as a sentence for who sent it."""

from mappings.model.errors import ExchangeError


class Refused(ExchangeError):
    """A file that is not what it says, is damaged, or may do something; nothing of it was kept."""
