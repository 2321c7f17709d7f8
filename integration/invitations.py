"""The visit as a calendar entry for the patient (RFC 5545): the time and where, and nothing that tells why.

A calendar shows its entries on locked screens and shares them with families and employers. So: no diagnosis, no specialty, no
doctor, no name of the patient; a place only as a person typed it for this purpose.
"""

from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vText

from integration.settings.config import Config
from integration.store.appointments import Appointment
from mappings.model.states import Visit
from mappings.model.visit import Known

SUMMARY = "Appointment"


def to_ics(config: Config, placer: str, visit: Appointment) -> bytes:
    """One entry, in the zone of the visit. The same appointment keeps its UID; each change raises SEQUENCE."""
    calendar = Calendar()
    calendar.add("prodid", f"-//{config.exchange.name}//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(_event(config, placer, visit))
    calendar.add_missing_timezones()
    return calendar.to_ical()


def _event(config: Config, placer: str, visit: Appointment) -> Event:
    event, zone = Event(), ZoneInfo(visit.zone)
    event.add("uid", f"{visit.request_id}-{visit.began}@second-opinion-exchange")
    event.add("sequence", visit.version - visit.began)
    event.add("dtstamp", visit.created_at)
    event.add("dtstart", visit.start_at.astimezone(zone))
    if visit.end_at is not None:
        event.add("dtend", visit.end_at.astimezone(zone))
    event.add("summary", SUMMARY)
    event.add("status", "CONFIRMED" if visit.status in (Visit.BOOKED, Visit.COMPLETED) else "CANCELLED")
    event.add("class", "PRIVATE")
    if visit.place and visit.known == Known.HAND:
        event.add("location", vText(visit.place))
    endpoint = config.endpoints.get(placer)
    if endpoint is not None and endpoint.phone:
        event.add("description", f"Questions? Call {endpoint.phone}.")
    return event
