"""Poll a placer's EHR for ServiceRequests: take in new second opinions, and follow those that were taken in before.

Reading is page by page (jobs/steps/sweeping.py): what a page holds is committed with the place where reading goes on.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy import Connection

from integration.fhir.paging import Page
from integration.fhir.server import NotFound
from integration.store import findings, orders
from jobs.items import error_as_finding
from jobs.source import subscriptions
from jobs.steps import sweeping
from jobs.steps.sweeping import Progress
from jobs.steps.taking_in import Orders, is_address, name_of
from jobs.world import Context, Outcome
from mappings.instants import last_updated
from mappings.model.errors import NeedsPerson, PartialError, PermanentError, TemporaryError

OVERLAP = sweeping.OVERLAP
READ_AGAIN = 10  # refused orders a poll reads again, besides those it finds
BUDGET_SECONDS = 40.0  # a poll that is not through by then goes on at the next one
MAX_RESTARTS = 3  # so often a search begins anew within one reading because its pages expired
AT_ONCE = 40  # orders asked for by id in one search


def poll_requests(ctx: Context) -> Outcome:
    """What changed since the last poll, orders that were refused, and a part of the daily look at all active orders."""
    poll = _Poll(ctx)
    poll.read_changes()
    poll.read_refused_again()
    poll.sweep()
    return Outcome(apply=[lambda conn: orders.polled(conn, ctx.step.endpoint, ctx.now)])


class _Poll:
    """One poll of one placer."""

    def __init__(self, ctx: Context):
        self.ctx, self.key = ctx, ctx.step.endpoint
        with ctx.world.engine.begin() as conn:
            self.at = orders.reading(conn, self.key)
            self.refused = findings.refused(conn, self.key, self.at.now)
        self.orders = Orders(ctx, self.key, {findings.reference_of(row.path) for row in self.refused})
        self.looked_at: set[str] = set()

    def read_changes(self) -> None:
        """Everything that changed since the mark, however many pages; the mark moves when the last one was read."""
        since = self.at.since
        if since is None:
            return
        self.until = (
            time.monotonic() + BUDGET_SECONDS / 2
        )  # a server may answer with all it has: the rest is the sweep's
        begun = Progress.from_json(self.at.changes) or sweeping.changes_since(since - OVERLAP, self.at.now)

        def keep(conn: Connection, progress: Progress, is_last: bool) -> None:
            orders.set_reading(conn, self.key, changes=None if is_last else progress.to_json())
            mark = sweeping.mark_after(progress, since, self.at.now) if is_last else None
            if mark is not None and mark != since:
                orders.set_since(conn, self.key, mark)

        self._read(begun, keep)

    def sweep(self) -> None:
        """All active orders once a day; then what became of those that are requests now."""
        self.until = time.monotonic() + BUDGET_SECONDS / 2
        progress = Progress.from_json(self.at.sweep)
        if progress is None:
            if self.at.since is not None and not sweeping.sweep_is_due(self.at.swept_at, self.at.now):
                return
            subscriptions.look_at(self.ctx, self.key)
            progress = sweeping.sweep_of(self.at.now, by_status=self._offers_status())
        if not progress.params.get(KNOWN):
            progress = self._read(progress, self._keep_sweep)
        if progress is not None:
            self._look_after_known(progress)

    def _keep_sweep(self, conn: Connection, progress: Progress, is_last: bool) -> None:
        kept = Progress(progress.began, {KNOWN: "0"}) if is_last else progress
        orders.set_reading(conn, self.key, sweep=kept.to_json())
        if self.at.since is None:
            first = sweeping.mark_of_first_sweep(progress, self.at.now) if is_last else None
            orders.set_since(conn, self.key, first or progress.began_at - sweeping.FIRST_LOOK_BACK)

    def _offers_status(self) -> bool:
        """Also where it does not say what it offers: one that does not know the parameter is asked without it."""
        try:
            can = self.ctx.capabilities(self.key)
        except NeedsPerson:  # its statement is no use; its orders may well be
            return True
        return not can.searches or can.can_search("ServiceRequest", "status")

    def _read(self, progress: Progress, keep: Callable[[Connection, Progress, bool], None]) -> Progress | None:
        """Read on from where it stands. Returns the progress when the last page was read, None when it goes on later."""
        while time.monotonic() < self.until:
            page = self._page(progress)
            if page is None:
                progress = progress.from_the_start()
                if progress.restarts > MAX_RESTARTS:
                    self.ctx.finding(
                        "poll-restarted",
                        f"{self.key} forgot its search {progress.restarts} times before its last page was read; "
                        "it is read again with the next polls. A larger limits.page_size may help",
                        "ServiceRequest",
                    )
                    return None
                continue
            newest = max(filter(None, (last_updated(each.resource) for each in page.entries)), default=None)
            progress = progress.after_page(page.next_url, newest)
            is_last = progress.url is None or progress.pages >= sweeping.MAX_PAGES
            if progress.pages >= sweeping.MAX_PAGES:
                self.ctx.finding(
                    "poll-never-ends",
                    f"{self.key} gave {progress.pages} pages of ServiceRequests and names a further one: the search was ended",
                    "ServiceRequest",
                    "error",
                )
            for problem in page.problems:
                self.ctx.finding(
                    "order-unreadable", f"an entry of the search cannot be read: {problem}", problem, "error"
                )
            found: dict[str, dict | None] = {
                name_of(each.resource): each.resource
                for each in page.entries
                if each.resource["resourceType"] == "ServiceRequest"
            }
            self._settle(found, _keeping(keep, progress, is_last))
            if is_last:
                return progress
        return None

    def _page(self, progress: Progress) -> Page | None:
        """The next page; None when the server no longer has it, and the search has to begin anew."""
        search = self.ctx.server(self.key).search("ServiceRequest", progress.params)
        try:
            return search.page(progress.url)
        except (TemporaryError, PermanentError) as error:
            if error.status_code == 400 and progress.url is None and "status" in progress.params:
                return (
                    self.ctx.server(self.key).search("ServiceRequest", {}).page(None)
                )  # it does not know the parameter
            if progress.url is None or error.cause != "page-expired" and error.status_code not in (400, 404, 410):
                raise
            return None

    def read_refused_again(self) -> None:
        """Orders that were refused as they are now; what cannot be read now is left for another poll."""
        waiting = dict.fromkeys(findings.reference_of(row.path) for row in self.refused)
        left = [each for each in waiting if each not in self.looked_at and is_address(each)][:READ_AGAIN]
        found: dict[str, dict | None] = {}
        for reference in left:
            try:
                found[reference] = self.ctx.server(self.key).read(*reference.split("/", 1))
            except NotFound:
                found[reference] = None
            except TemporaryError:
                break
            except (PermanentError, PartialError):
                continue
        self._settle(found)

    def _look_after_known(self, progress: Progress) -> None:
        """The orders of open requests, wherever they stand: one whose change was shown late, or that is gone, is noticed too."""
        after = progress.params.get(KNOWN, "0")
        names = self.orders.names
        while time.monotonic() < self.until:
            with self.ctx.world.engine.begin() as conn:
                batch = orders.open_after(conn, names, after, AT_ONCE)
            if not batch:
                with self.ctx.transaction() as conn:
                    orders.set_reading(conn, self.key, sweep=None, swept_at=progress.began_at)
                return
            after = batch[-1].request_id
            kept = Progress(progress.began, {KNOWN: after}).to_json()
            self._settle(dict(self._as_they_are(batch)), partial(orders.set_reading, endpoint=self.key, sweep=kept))

    def _as_they_are(self, batch: list[orders.Order]) -> Iterator[tuple[str, dict]]:
        """Only those that were not just read with the changes or the sweep."""
        wanted = [each for each in batch if each.reference not in self.looked_at and is_address(each.reference)]
        if not wanted:
            return
        server = self.ctx.server(self.key)
        ids = ",".join(each.reference.split("/")[1] for each in wanted)
        shown = {
            name_of(each.resource): each.resource
            for each in server.search("ServiceRequest", {"_id": ids}).page(None).entries
        }
        for order in wanted:
            found = shown.get(order.reference) or server.read_if_there(order.reference)
            if found is not None:
                yield order.reference, found
                continue
            self.orders.is_gone(order)

    def _settle(self, found: dict[str, dict | None], keep: Callable[[Connection], object] = lambda conn: None) -> None:
        """Decide about each order and commit it, with where reading goes on; an order that cannot be stored stops no other."""
        changes = self.orders.changes_of(found)
        self.looked_at |= found.keys()
        with self.ctx.transaction() as conn:
            for reference, change in changes:
                with error_as_finding(self.ctx, reference, "request-unreadable"), conn.begin_nested():
                    change(conn)
            self._only_news()
            findings.settle(
                conn,
                self.key,
                list(found),
                [(each.cause, each.path) for each in self.still],
                f"step {self.ctx.step.kind}",
            )
            self.ctx.store_findings(conn)
            keep(conn)
        self.ctx.found = []

    def _only_news(self) -> None:
        """Of refusals that are known already only news is told."""
        self.still = list(self.ctx.found)
        known = {(row.cause, row.path, row.message) for row in self.refused}
        self.ctx.found = [each for each in self.ctx.found if (each.cause, each.path, each.message[:500]) not in known]


KNOWN = "known"  # in place of a search's parameters: the request id after which the look at known orders goes on


def _keeping(
    keep: Callable[[Connection, Progress, bool], None], progress: Progress, is_last: bool
) -> Callable[[Connection], None]:
    return lambda conn: keep(conn, progress, is_last)
