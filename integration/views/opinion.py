"""The second opinion beside the first, and how far its report has come with the people it is for."""

from dataclasses import asdict, dataclass

from integration.store.acknowledgments import Acknowledged
from integration.store.reports import RETRACTED, Report
from mappings.model.acknowledgment import Standing, standing
from mappings.model.request import SecondOpinionRequest
from mappings.model.written_report import WrittenReport
from mappings.written_report import WrittenParts


@dataclass(frozen=True)
class ReportDocument:
    """One document of the report. ``words``: as they stand in it; None where there are none to show, ``why`` says it.

    ``same_as``: the number of an earlier one with the very same words, in another format.
    """

    content_type: str
    size: int
    words: str | None
    why: str
    same_as: int | None = None


@dataclass(frozen=True)
class Opinion:
    """``report``: the newest that is not preliminary; None while there is none. ``said``: oldest first."""

    request_id: str
    content: SecondOpinionRequest
    report: Report | None
    documents: tuple[ReportDocument, ...]
    said: tuple[Acknowledged, ...]
    parts: WrittenParts = WrittenParts(None)

    @property
    def written(self) -> WrittenReport | None:
        """What the consultant coded, point by point; None where the report says nothing so. A retracted one says nothing."""
        return None if self.report is None or self.report.state == RETRACTED else self.parts.report

    @property
    def standing(self) -> Standing:
        """Whether somebody has read the newest revision."""
        return standing_of(self.report, self.said)


def standing_of(report: Report | None, said: tuple[Acknowledged, ...] | list[Acknowledged]) -> Standing:
    """Whether somebody has read this revision; what was taken back does not count."""
    words = [each.word for each in said if each.undone_at is None]
    return standing(report.revision if report else None, words)


def view(request_id: str, report: Report | None, said: list[Acknowledged]) -> dict:
    """As JSON: who has read which revision, and what was decided."""
    return {
        "request_id": request_id,
        "revision": report.revision if report else None,
        "standing": standing_of(report, said).value,
        "acknowledgments": [
            {name: value for name, value in asdict(each).items() if name != "request_id"} for each in said
        ],
    }
