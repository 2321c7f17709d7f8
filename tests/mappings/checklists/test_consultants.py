"""What one consultant wants otherwise: with pictures or without, and how many days the slowest open item takes."""

import pytest

from mappings.checklists.chart import Chart
from mappings.checklists.consultants import as_wanted, lead_days, still_open
from mappings.checklists.judging import judge
from mappings.model.checklist import Facts, Images, State
from tests.mappings.checklists.charts import CATALOG, PATIENT, RAD, VISIT, report, said, scan

CT = report("18747-6", "2026-06-01", "CT chest", category=[RAD])
PICTURES = scan("CT", "2026-06-01", "CT chest", body="chest")


def judged(checklist, *resources, images=None, facts=Facts()):
    wanted = as_wanted(CATALOG.checklists[checklist], CATALOG, images)
    return judge(wanted, CATALOG, Chart.of(resources, PATIENT), facts, VISIT)


def state(kind, *resources, checklist="lung", **more):
    return next(item.state for item in judged(checklist, *resources, **more) if item.rule.kind == kind)


@pytest.mark.parametrize(
    "images, report_alone, pictures_alone, both",
    [
        (None, State.PARTIAL, State.PARTIAL, State.FOUND),  # the list wants both
        (Images.REQUIRED, State.PARTIAL, State.PARTIAL, State.FOUND),
        (Images.REPORT_ONLY, State.FOUND, State.PARTIAL, State.FOUND),
        (Images.EITHER, State.FOUND, State.FOUND, State.FOUND),
    ],
)
def test_pictures_are_wanted_as_the_consultant_says(images, report_alone, pictures_alone, both):
    assert state("img-ct", CT, images=images) is report_alone
    assert state("img-ct", PICTURES, images=images) is pictures_alone
    assert state("img-ct", CT, PICTURES, images=images) is both


def test_without_pictures_no_disc_is_asked_for_unless_the_consultant_asks():
    yes = Facts({"no-dicomweb": said("yes")})
    assert state("image-cd", facts=yes) is State.MISSING
    assert state("image-cd", images=Images.REPORT_ONLY, facts=yes) is State.NOT_APPLICABLE
    asked = Facts({"no-dicomweb": said("yes"), "asked:image-cd": said("yes")})
    assert state("image-cd", images=Images.REPORT_ONLY, facts=asked) is State.MISSING


def test_the_slowest_open_item_decides():
    items = judged("pathology-review")
    assert still_open(items)[0].kind == "glass-slides" and lead_days(items) == 10
    without = judged("pathology-review", facts=Facts(items={"glass-slides": said("waived")}))
    assert "glass-slides" not in {each.kind for each in still_open(without)} and lead_days(without) == 5
    assert all(each.kind != "labs-cbc" for each in still_open(judged("general")))  # only sent when there is one
    assert lead_days(()) == 0
