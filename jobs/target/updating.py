"""Bringing up to date what we wrote at a target: what the source changed is changed, what was added there stays."""

from dataclasses import replace

from integration import fhir_json
from jobs.target import written
from jobs.target.push import Push
from jobs.target.troubles import about_content, trouble_of
from jobs.target.writing import version_of
from mappings.bundle import draft
from mappings.merging import contains, merge, says_the_same
from mappings.model.errors import TransferError
from mappings.model.link import Link


class Updating:
    """The records of one push that are there and may say something else."""

    def __init__(self, push: Push):
        self.push = push

    def update(self) -> None:
        """Each of what changed, is not surely as we wrote it, or could not say everything when it was created."""
        sources = [
            source for source in self.push.to_update if source in self.push.names and source not in self.push.left
        ]
        known = [self.push.links[source] for source in sources if source in self.push.links]
        lines = written.lines_of(
            self.push.ctx.world.payloads, ((each.ours_sha256 or each.sha256, each.written_in) for each in known)
        )
        bases = {each.value: lines.get(each.ours_sha256 or each.sha256 or "") for each in known}
        for source in sources:
            try:
                self._bring_up_to_date(source, bases.get(source))
            except TransferError as error:
                if not about_content(error):
                    raise
                self.push.refused(source, error)
            except Exception as error:  # about this one record, or raised again
                self.push.leave_for(trouble_of(error, source))

    def _bring_up_to_date(self, source: str, base: bytes | None) -> None:
        """The record as it stands there, with what the source changed since we wrote it; what was added there stays."""
        target = self.push.names[source]
        made = draft(
            self.push.resources[source],
            links=self.push.names,
            identifier_system=self.push.system,
            source_base=self.push.bases,
            allow_unidentified=True,
        )
        before = fhir_json.loads(written.named(base, self.push.urns)) if base is not None else None
        link = self.push.links.get(source)
        if before is not None and says_the_same(made.body, before) and link is not None:
            self.push.store(
                [replace(link, **self.push.made_of(source))], {}
            )  # what it was made of looks otherwise, no more
            return
        there = self.push.there.pop(source, None) or self.push.server.read_if_there(target)
        if there is None:
            self.push.leave("own-gone", f"{target}, which we wrote, is no longer at {self.push.endpoint}", source)
            return
        if before is None and contains(made.body, there):
            self._wrote(source, target, made.body, made.body, version_of(there))
            return
        merged = merge(before, there, made.body)
        if merged.conflicts:
            path = f"{source}#{merged.conflicts[0].partition('.')[2]}"
            self.push.leave(
                "changed-at-target",
                f"changed at the source and at {self.push.endpoint}; nothing was overwritten",
                source,
                path,
            )
            return
        version = version_of(there)
        if not says_the_same(merged.resource, there):
            self.push.ctx.lease.before_write()
            version = self.push.server.update(merged.resource, if_match=version).version
        self._wrote(source, target, merged.resource, made.body, version)

    def _wrote(self, source: str, target: str, whole: dict, ours: dict, version: str | None) -> None:
        lines = [fhir_json.dumps(whole), fhir_json.dumps(ours)]
        kept = written.keep(self.push.ctx.world.payloads, lines if lines[0] != lines[1] else lines[:1])
        row = Link(
            self.push.system,
            source,
            target,
            "created",
            version,
            kept.hashes[0],
            kept.pack,
            kept.hashes[1] if len(kept.hashes) > 1 else None,
            **self.push.made_of(source),
        )
        self.push.store([row], {source: True}, dict(sent_sha256=kept.hashes[0], sent_in=kept.pack))
