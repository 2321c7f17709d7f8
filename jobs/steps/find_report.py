"""Which of what a fulfiller shows is the report, and what is not returned: nothing that was handed over is passed by in silence."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from integration.fhir.server import FhirServer
from integration.store import orders, patient_links
from integration.store.requests import Request
from jobs.items import error_as_finding
from jobs.steps.send_request import find_own
from jobs.target.writing import own_identifier
from jobs.world import Context
from mappings.addresses import is_elsewhere, target_of, type_of
from mappings.codes import as_dict
from mappings.consult_report import KINDS, ReportReading, points_to, read_report
from mappings.fulfillment import OTHER_PATIENT, Found, not_returned, why_not_ours
from mappings.identifiers import local_reference
from mappings.model.errors import NeedsPerson, PartialError, PermanentError
from mappings.order import carries_our_identifier
from mappings.task import handed_over

NAMED = 10  # outputs that a finding names; it says how many there are
MAX_SEARCH_PAGES = 20  # of a search for reports that the Task does not name: a server may answer with all it has
ELSEWHERE = "one that is not on this server"


def find_reports(
    ctx: Context, row: Request, outputs: tuple[str, ...], *, besides: Collection[str] = ()
) -> tuple[list[Found], bool]:
    """The reports among a Task's outputs that are not marked as an error, and True when one cannot be read (yet)."""
    found, unread = [], False
    for name in _names(ctx, row, outputs):
        if name in besides or not ("#" in name or name.split("/")[0] in KINDS):
            continue
        report = None
        with error_as_finding(ctx, name, "report-unreadable"):
            report = read_at(ctx, row, name)
            if report is None:
                ctx.finding("report-unresolved", f"the Task's output {name} is not there", name, "error")
        unread = unread or report is None
        found += [report] if report and not report.reading.retracted else []
    named = {each.name for each in found}
    return found + [each for each in _at_other_addresses(ctx, row, outputs) if each.name not in named], unread


def find_unnamed(ctx: Context, row: Request, *, besides: Collection[str] = ()) -> list[Found]:
    """Reports that say themselves that they answer this request, though no output of the Task names them.

    Servers ignore parameters: only what points to our ServiceRequest counts, and nothing that the Exchange wrote there.
    """
    server, base = ctx.server(row.fulfiller), ctx.bases(row.fulfiller)
    service_request, patient = find_own(ctx, row.fulfiller, "ServiceRequest"), _patient(ctx, row)
    with ctx.world.engine.begin() as conn:
        systems = orders.systems_known(conn, ctx.world.config)
    asked = [("DocumentReference", {"related": service_request}), ("DiagnosticReport", {"based-on": service_request})]
    asked += [(kind, {"patient": patient}) for kind in KINDS if patient]
    found: dict[str, Found] = {}
    for kind, params in asked:
        for resource in _search(ctx, server, kind, params):
            with error_as_finding(ctx, f"{kind}/{resource.get('id')}", "report-unreadable"):
                report = Found(f"{kind}/{resource['id']}", resource, read_report(resource, base))
                if not carries_our_identifier(resource, systems) and _answers(ctx, row, report.reading):
                    found[report.name] = report
        if found:
            break
    return [each for name, each in found.items() if name not in besides and not each.reading.retracted]


def read_at(ctx: Context, row: Request, name: str) -> Found | None:
    """One report at the fulfiller; None when it is not there."""
    server = ctx.server(row.fulfiller)
    if "#" in name:  # the Task holds it, or the address of its file
        task = server.read_if_there(name.split("#")[0])
        resource = task and handed_over(task, f"#{name.split('#')[1]}")
    else:
        resource = server.read_if_there(name)
    return Found(name, resource, read_report(resource, ctx.bases(row.fulfiller))) if resource else None


def name_others(
    ctx: Context,
    row: Request,
    outputs: tuple[str, ...],
    returned: Found | None,
    found: list[Found],
    *,
    besides: Collection[str] = (),
) -> None:
    """A finding for what the Task handed over and we do not return."""
    others = not_returned(_names(ctx, row, outputs), returned, found, besides, ELSEWHERE)
    if others:
        ctx.finding(
            "report-many-outputs",
            f"{len(others)} more output(s) of the Task were not returned: {', '.join(others[:NAMED])}",
            find_own(ctx, row.fulfiller, "Task") or "Task",
            "error",
        )


def check_report(ctx: Context, row: Request, found: Found) -> None:
    """Raises NeedsPerson for a report about another patient or another request."""
    server, reading, base = ctx.server(row.fulfiller), found.reading, ctx.bases(row.fulfiller)
    ours = find_own(ctx, row.fulfiller, "ServiceRequest")
    service_request = server.read(*ours.split("/")) if ours else {}
    subject = local_reference(as_dict(service_request.get("subject")).get("reference"), base)
    cause = why_not_ours(
        local_reference(reading.patient, base),
        [local_reference(each, base) or each for each in reading.related if "ServiceRequest/" in each],
        patients=[each for each in (_patient(ctx, row), subject) if each],
        service_request=f"ServiceRequest/{service_request['id']}" if service_request else None,
    )
    if cause is not None:
        what = (
            "about another patient than the request" if cause == OTHER_PATIENT else "related to another ServiceRequest"
        )
        raise NeedsPerson(cause, f"{found.name} at {row.fulfiller} is {what}")


def _patient(ctx: Context, row: Request) -> str | None:
    """``Patient/id`` of the request at the fulfiller."""
    with ctx.world.engine.begin() as conn:
        link = patient_links.of(conn, row.id, row.fulfiller)
    return link.reference if link else None


def _search(ctx: Context, server: FhirServer, kind: str, params: dict) -> Iterator[dict]:
    """What a search shows, as far as it goes: it is only looked for what nobody named."""
    try:
        for entry in server.search(kind, params, max_pages=MAX_SEARCH_PAGES):
            if entry.resource.get("resourceType") == kind:
                yield entry.resource
    except (PermanentError, PartialError):
        return


def _answers(ctx: Context, row: Request, reading: ReportReading) -> bool:
    service_request = find_own(ctx, row.fulfiller, "ServiceRequest")
    return points_to(reading, service_request, own_identifier(ctx, "ServiceRequest", ctx.request_id))


def _at_other_addresses(ctx: Context, row: Request, outputs: tuple[str, ...]) -> list[Found]:
    """An output at an address that we do not know the server by: what has that id there counts when it names our request."""
    found = []
    for target in filter(None, (target_of(each, ctx.bases(row.fulfiller)) for each in outputs)):
        if not is_elsewhere(target) or type_of(target) not in KINDS:
            continue
        name = "/".join(target.rsplit("/", 2)[-2:])
        with error_as_finding(ctx, ELSEWHERE, "report-unreadable"):
            report = read_at(ctx, row, name)
            if report is not None and not report.reading.retracted and _answers(ctx, row, report.reading):
                found.append(replace(report, was_elsewhere=True))
    return found


def _names(ctx: Context, row: Request, outputs: tuple[str, ...]) -> list[str]:
    """``Type/id`` of outputs at the fulfiller, ``Task/id#...`` of what the Task holds; an address elsewhere is not repeated."""
    base, task = ctx.bases(row.fulfiller), find_own(ctx, row.fulfiller, "Task")
    return [f"{task}{each}" if each.startswith("#") else local_reference(each, base) or ELSEWHERE for each in outputs]
