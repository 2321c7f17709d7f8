"""Read who insures the patient, from the placer's EHR: the insurances that the request names, and those of the patient."""

from collections.abc import Iterator

from integration.fhir.server import FhirServer
from integration.store import insurances
from jobs.patients import find_patient
from jobs.world import Context, Outcome
from mappings.identifiers import local_reference
from mappings.insurance import payors, to_insurance
from mappings.model.coverage import Insurance
from mappings.model.errors import PermanentError
from mappings.model.request import SecondOpinionRequest
from mappings.subject import whose

ORGANIZATIONS = 20


def gather_coverage(ctx: Context) -> Outcome:
    """An EHR that does not give it leaves a finding: nothing waits for it, and a person asks the insurer anyhow."""
    request = ctx.request()
    patient = find_patient(ctx, request.placer, request.patient)
    try:
        found = list(_read(ctx, request, patient))
    except PermanentError as error:
        ctx.finding(
            "coverage-not-read",
            f"{request.placer} does not show the patient's insurance ({error.cause}): ask there",
            "Coverage",
            "info",
        )
        return Outcome()
    return Outcome(apply=[lambda conn: insurances.keep(conn, ctx.request_id, found, ctx.now)])


def _read(ctx: Context, request: SecondOpinionRequest, patient: str) -> Iterator[Insurance]:
    server, bases = ctx.server(request.placer), ctx.bases(request.placer)
    person = server.read(*patient.split("/"))
    included: dict[str, dict] = {}
    for reference, resource in _coverages(ctx, server, request, patient).items():
        if whose(resource, person, bases)[0] != "theirs":
            ctx.finding(
                "other-patient", "an insurance of another patient was shown; it was left out", reference, "error"
            )
            continue
        _include(server, resource, included, bases)
        yield to_insurance(resource, included, bases)


def _coverages(ctx: Context, server: FhirServer, request: SecondOpinionRequest, patient: str) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for reference in request.coverage:
        resource = server.read_if_there(reference)
        if resource is None:
            ctx.finding("coverage-gone", f"the request names an insurance that is not at {request.placer}", reference)
        else:
            found[reference] = resource
    can = ctx.capabilities(request.placer)
    names = [name for name in ("patient", "beneficiary") if not can.searches or can.can_search("Coverage", name)]
    if names:
        for resource in server.search_all("Coverage", {names[0]: patient}):
            if resource.get("resourceType") == "Coverage":
                found.setdefault(f"Coverage/{resource.get('id')}", resource)
    return found


def _include(server: FhirServer, resource: dict, included: dict[str, dict], bases: tuple[str, ...]) -> None:
    """The organizations that insure, as far as they stand at the same server."""
    for reference in payors(resource):
        local = local_reference(reference.get("reference"), bases) or ""
        if local.startswith("Organization/") and local not in included and len(included) < ORGANIZATIONS:
            organization = server.read_if_there(local)
            if organization is not None:
                included[local] = organization
