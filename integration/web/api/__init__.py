"""The JSON API: what the pages do, for programs. A file for each subject; ``routes`` reads and answers, ``document`` describes."""

from integration.web.api import (  # noqa: F401  their routes join
    boards,
    cases,
    checklists,
    consents,
    coverage,
    desk,
    directory,
    document,
    elsewhere,
    health_links,
    key_facts,
    library,
    medications,
    operations,
    opinions,
    private_links,
    received,
    requests,
    sources,
    steps,
    suitability,
    visits,
    written_reports,
)
from integration.web.api.routes import blueprint

__all__ = ["blueprint"]
