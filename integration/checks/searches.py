"""Searches of our flow, tried with values that nobody has: whatever comes back then shows that a parameter was ignored.

https://hl7.org/fhir/R4/search.html#errors: a server may ignore what it does not know, and answer with everything.
"""

from collections.abc import Callable, Iterator
from functools import partial

from integration.checks.tried import Tried, Trying, echoes, in_time, nobody, resources
from integration.fhir.writes import identifier_token
from mappings.codes import as_dict
from mappings.identifiers import identifiers_in
from mappings.model.errors import ExchangeError, PermanentError
from mappings.model.request import Identifier
from mappings.model.trials import Trial, by_identifier
from mappings.subject import searched_by

LOOKED_UP = ("DocumentReference", "ServiceRequest", "Task", "Practitioner", "Organization", "Encounter", "Observation")
_SAMPLES = "10"
_NO_SEARCH = "the server does not search this type"
_LATER = "2199-01-01T00:00:00Z"


def searches(trying: Trying) -> Iterator[Tried]:
    """Each look-up by identifier of a type that we write, and each parameter that gathering and watching depend on."""
    yield from in_time(trying, _probes(trying))


def _probes(trying: Trying) -> Iterator[tuple[str, Callable[[], Tried]]]:
    for kind in dict.fromkeys((*LOOKED_UP, *_written_too(trying))):
        yield by_identifier(kind), partial(_by_identifier, trying, kind)
    yield Trial.BY_PATIENT, partial(_by_patient, trying)
    yield Trial.SINCE, partial(_since, trying)
    if trying.endpoint.is_placer and trying.can.task:
        yield Trial.FOCUS, partial(_by_focus, trying)


def _written_too(trying: Trying) -> tuple[str, ...]:
    """Types of records that go there as resources."""
    if not (trying.endpoint.is_fulfiller and trying.endpoint.accepts == "resources"):
        return ()
    return tuple(kind for kind in trying.record_types if kind in trying.can.creates)


def _by_identifier(trying: Trying, kind: str) -> Tried:
    """By an identifier that nobody has; then by one that is there."""
    what, learned = by_identifier(kind), _without_identifier(trying, kind)
    if not trying.searched(kind):
        return Tried(what, False, _NO_SEARCH, learned, refused=True)
    wanted = Identifier(system="urn:uuid:second-opinion-check", value=nobody())
    try:
        answer = trying.answer(kind, {"identifier": identifier_token(wanted.system, wanted.value), "_count": "2"})
    except PermanentError as error:
        why = f"refused ({error.cause or error.status_code}): such records are recognized by what we remember of them only"
        return Tried(what, False, why, learned, refused=True)
    except ExchangeError as error:
        return Tried(what, None, str(error))
    if any(wanted not in identifiers_in(each) for each in resources(answer, kind)):
        says = "the parameter is ignored: no answer to it is believed, what we wrote is recognized otherwise"
        return Tried(what, False, says, learned)
    return _by_one_that_is_there(trying, kind, echoes(answer, "identifier"))


def _by_one_that_is_there(trying: Trying, kind: str, echoed: bool) -> Tried:
    what = by_identifier(kind)
    try:
        sample = _sample(trying, kind)
        if sample is None:
            says = "looked for" if echoed else "answered, but the server does not say what it looked for"
            return Tried(what, echoed or None, f"{says}; none is there that we could look for")
        reference, carried = sample
        answer = trying.answer(kind, {"identifier": identifier_token(carried.system, carried.value), "_count": "10"})
    except ExchangeError:
        return Tried(what, echoed or None, "looked for" if echoed else "answered, and that is all that can be told")
    if any(carried in identifiers_in(each) for each in resources(answer, kind)):
        return Tried(what, True, "found by it")
    says = f"it says that it looks, and does not find {reference}, which is there: none of ours would be found"
    return Tried(what, False, says, _without_identifier(trying, kind))


def _without_identifier(trying: Trying, kind: str) -> dict[str, bool]:
    """What config.yaml should say of a server that does not find this type by our identifier."""
    if kind == "DocumentReference":
        conditions = {"capabilities.conditional_create": False} if trying.can.conditional_create else {}
        return {"document.finds_by_identifier": False, **conditions}
    return {"capabilities.task": False} if kind == "Task" and trying.can.task else {}


def _sample(trying: Trying, kind: str) -> tuple[str, Identifier] | None:
    """``Type/id`` of a resource that stands there, and an identifier that it carries."""
    for each in resources(trying.answer(kind, {**_about(trying, kind), "_count": _SAMPLES}), kind):
        carried = next((one for one in identifiers_in(each) if one.system and one.value), None)
        if carried is not None:
            return f"{kind}/{each.get('id')}", carried
    return None


def _about(trying: Trying, kind: str) -> dict[str, str]:
    """Of the test patient where there is one, and there is a parameter for that."""
    if trying.patient is None or kind in ("Patient", "Practitioner", "Organization"):
        return {}
    return {searched_by(kind): trying.patient, **trying.part(kind)}


def _by_patient(trying: Trying) -> Tried:
    """All types of a chart at once, by a patient who does not exist."""
    kinds = [each for each in trying.record_types if each in trying.can.searches or each == "DocumentReference"]
    found: dict[str, list[str]] = {"looked": [], "ignored": [], "refused": [], "silent": []}
    for kind in kinds:
        if trying.is_over:
            break
        found[_patient_word(trying, kind)].append(kind)
    asked = sum(map(len, found.values()))
    if asked == len(found["refused"]):
        return Tried(Trial.BY_PATIENT, None, "refused for a patient that does not exist: it cannot be told")
    said = [f"{len(found['looked'])} of {len(kinds)} types look for the patient and say so"]
    if found["ignored"]:
        named = ", ".join(found["ignored"])
        said.append(f"IGNORED for {named}: the answer is everybody's; only what names the patient itself is taken")
    if found["silent"]:
        said.append(f"found nothing, and do not say what they looked for: {', '.join(found['silent'])}")
    if found["refused"]:
        said.append(f"refused: {', '.join(found['refused'])}")
    return Tried(Trial.BY_PATIENT, not found["ignored"], "; ".join(said))


def _patient_word(trying: Trying, kind: str) -> str:
    name = searched_by(kind)
    try:
        answer = trying.answer(kind, {name: f"Patient/{nobody()}", **trying.part(kind), "_count": "2"})
    except ExchangeError:
        return "refused"
    if resources(answer, kind):
        return "ignored"
    return "looked" if echoes(answer, name) else "silent"


def _since(trying: Trying) -> Tried:
    """Of a type that has something to show: nothing there is of the year 2199."""
    for kind in ("Observation", "DocumentReference", "ServiceRequest"):
        about = {**_about(trying, kind), "_count": "2"}
        closed = [("_lastUpdated", "lt2200-01-01T00:00:00Z")] if trying.endpoint.of_profile.closed_ranges else []
        try:
            if not trying.searched(kind) or not resources(trying.answer(kind, about), kind):
                continue
            params = [*about.items(), ("_lastUpdated", f"ge{_LATER}"), *closed]
            later = as_dict(trying.server.transport.request("GET", kind, params=params).json())
        except PermanentError as error:
            return Tried(Trial.SINCE, False, f"{kind}: {error}: the whole chart is read each time")
        except ExchangeError as error:
            return Tried(Trial.SINCE, None, str(error))
        if resources(later, kind):
            return Tried(Trial.SINCE, False, f"{kind}: ignored: the whole chart is read each time")
        return Tried(Trial.SINCE, True, f"{kind}: only what changed is shown")
    return Tried(Trial.SINCE, None, f"nothing is shown that it could be tried with{_name_a_patient(trying)}")


def _by_focus(trying: Trying) -> Tried:
    try:
        answer = trying.answer("Task", {"focus": f"ServiceRequest/{nobody()}", "_count": "2"})
    except ExchangeError as error:
        return Tried(Trial.FOCUS, None, f"{error}: where it is refused no Task is brought up to date")
    if resources(answer, "Task"):
        return Tried(Trial.FOCUS, False, "the parameter is ignored: each Task that comes is held against its own focus")
    echoed = echoes(answer, "focus")
    return Tried(Trial.FOCUS, echoed or None, "looked for" if echoed else "the server does not say what it looked for")


def _name_a_patient(trying: Trying) -> str:
    return "; name a test patient with --patient" if trying.patient is None else ""
