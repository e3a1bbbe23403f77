"""The target: changes become imports, whose jobs are followed to their end; each change is told its own errors."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import structlog

from service.changes import AssetDeleted, AssetSaved, Change, Origin, ThingDeleted, ThingSaved
from service.errors import DeliveryRejected, MirrorError, SettingInvalid, StoreUnavailable, TargetUnavailable
from service.mirror.deliveries import Delivery
from service.mirror.store import Store
from service.settings.model import Settings
from service.targets.base import Sending, Target
from service.targets.collibra_assets import checking, ledger
from service.targets.collibra_assets.imports import Imports, Job
from service.targets.collibra_assets.mapping import AssetMapping, MappingInvalid, read
from service.targets.collibra_assets.options import Options
from service.targets.collibra_assets.planning import Part, Plan, plan_of
from service.targets.options import options_of, setting_of
from service.targets.posting import MAX_INTERNAL_ERRORS, Poster
from service.targets.sign_in import user_or_token
from service.text.documents import canonical

log = structlog.get_logger(__name__)

#: Bytes of an answer that are read: a page of errors.
_MAX_ANSWER = 16 * 1024**2
#: Seconds of a lease that are kept for the store, and for calls beside the following of a job.
_MARGIN_S = 5.0


class CollibraAssets(Target):
    """Assets, their columns and glossary artifacts in one Collibra."""

    def __init__(
        self,
        name: str,
        origins: Sequence[Origin],
        options: Options,
        mapping: AssetMapping,
        poster: Poster,
        lease_s: float,
    ) -> None:
        super().__init__(name, origins)
        self.at_once = options.batch_max
        self.mapping = mapping
        self.options = options
        self.imports = Imports(name, poster, options.path, options.poll)
        self._poster = poster
        self._patience_s = max(1.0, lease_s - 2 * options.timeout_s - _MARGIN_S)
        self._store: Store | None = None

    @classmethod
    def create(cls, name: str, settings: Settings) -> CollibraAssets | None:
        """On where a URL is set, unless turned off.

        Raises:
            SettingInvalid: nothing to sign in with, or options or a mapping file that cannot be used.
        """
        chosen = settings.target(name)
        if chosen.via == "off" or chosen.url is None:
            return None
        if chosen.via == "amqp":
            raise SettingInvalid(setting=setting_of(name, "VIA"), problem="Collibra is told over HTTP alone")
        options = options_of(name, chosen, Options)
        try:
            mapping = read(options.mapping_file)
        except MappingInvalid as error:
            raise SettingInvalid(setting=setting_of(name, "OPTIONS"), problem=f"{error} {error.advice()}") from None
        sign_in = user_or_token(name, chosen)
        poster = Poster(
            name, chosen.url, sign_in, options.timeout_s, chosen.ca_file, fresh=True, max_answer=_MAX_ANSWER
        )
        return cls(name, chosen.origins, options, mapping, poster, settings.relay.lease_s)

    def attach(self, store: Store) -> None:
        """Things and ledger are there."""
        self._store = store

    def wants(self, change: Change) -> bool:
        """Whether the mapping has a place for it; what has none is counted."""
        match change:
            case AssetDeleted():
                return bool(self.mapping.assets)
            case ThingDeleted(kind="artifact"):
                return bool(self.mapping.artifacts)
            case AssetSaved():
                return self._has_place("asset", change.asset_type, change)
            case ThingSaved(kind="artifact"):
                return self._has_place("artifact", getattr(change.values, "artifact_type", None), change)
        return False

    def _has_place(self, kind: str, type_: str | None, change: AssetSaved | ThingSaved) -> bool:
        rule = self.mapping.rule_of(kind, type_)
        if rule and self.mapping.domain_of(rule, change.container.id if change.container else None):
            return True
        if self.metrics:
            self.metrics.unlinked.labels(self.name, kind).inc()
        return False

    async def deliver(self, batch: Sequence[Delivery]) -> list[MirrorError | None]:
        """Import what differs from what Collibra took last, and see how it ends.

        What is sent again, because nobody knows what became of it, makes nothing twice: it has its external id.
        """
        until = time.monotonic() + self._patience_s
        await self._finish(batch, until)
        refused: dict[str, MirrorError] = {}
        while rest := [one for one in batch if one.delivery_id not in refused]:
            plan = await self._planned(rest)
            if plan.left:
                async with self._attached.writing() as connection:
                    await ledger.leave(connection, self.name, plan.left)
            if not plan.parts:
                break
            refused |= await self._import(plan.parts, until)
        return [refused.get(one.delivery_id) for one in batch]

    async def plan(self, batch: Sequence[Delivery]) -> list[Sending]:
        """The import of these, and what it would change there."""
        plan = await self._planned(batch)
        if not plan.parts:
            return []
        ids = tuple(sorted({part.delivery.delivery_id for part in plan.parts}))
        body = canonical([part.command for part in plan.parts]).decode()
        return [Sending(f"POST {self.imports.where}", body, ids, tuple(part.change() for part in plan.parts))]

    async def remarks(self) -> list[str]:
        """What Collibra still has of what is gone."""
        async with self._attached.reading() as connection:
            gone = (await ledger.counts(connection, self.name)).get(ledger.GONE, 0)
        return [f"{gone} that are gone in the catalog stay there: `catalog-mirror collibra deletions`."] if gone else []

    async def check(self) -> list[str]:
        """What of the mapping Collibra does not know."""
        return await checking.faults(self.imports, self.mapping)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

    # One import

    async def _import(self, parts: Sequence[Part], until: float) -> dict[str, MirrorError]:
        """Import some commands; answers the deliveries that Collibra refuses, with the reason.

        Raises:
            TargetUnavailable: what became of them is not known yet.
        """
        theirs = {part.delivery.delivery_id: part.delivery for part in parts}
        alone = next(iter(theirs.values())) if len(theirs) == 1 else None
        async with self._attached.writing() as connection:
            await ledger.begin(connection, self.name, [part.sent for part in parts])
        try:
            job_id = await self.imports.submit([part.command for part in parts], alone.attempts if alone else 0)
        except DeliveryRejected as error:
            return await self._refused_whole(parts, list(theirs), error, until)
        ids = [part.sent.external_id for part in parts]
        async with self._attached.writing() as connection:
            await ledger.note_job(connection, self.name, ids, job_id)
        job = await self.imports.follow(job_id, until)
        if job is None:
            raise self._unavailable(f"its job {job_id} has not ended yet; it is looked at again, not sent again")
        return await self._judged(parts, job_id, job, alone)

    async def _refused_whole(
        self, parts: Sequence[Part], ids: Sequence[str], error: DeliveryRejected, until: float
    ) -> dict[str, MirrorError]:
        """An import of several that is refused as a whole is divided, so that only what is at fault is refused."""
        async with self._attached.writing() as connection:
            await ledger.refuse(connection, self.name, None, [part.sent.external_id for part in parts])
        if len(ids) == 1:
            return {ids[0]: error}
        half = set(ids[: len(ids) // 2])
        refused: dict[str, MirrorError] = {}
        for is_first in (True, False):
            some = [part for part in parts if (part.delivery.delivery_id in half) is is_first]
            refused |= await self._import(some, until)
        return refused

    async def _judged(
        self, parts: Sequence[Part], job_id: str, job: Job, alone: Delivery | None
    ) -> dict[str, MirrorError]:
        """What the end of a job means for those that it is of."""
        faults: dict[int, str] = {}
        if job.has_errors:
            faults = await self._faults(parts, job_id, alone)
        await self._write_down(parts, job_id, job, faults)
        if not job.succeeded and not faults:
            problem = f"its job {job_id} ended as {job.state} ({job.result}): {job.message}"
            if alone and alone.attempts + 1 >= MAX_INTERNAL_ERRORS:
                return {alone.delivery_id: DeliveryRejected(target=self.name, problem=problem)}
            raise self._unavailable(problem)
        log.info("import_ended", target=self.name, job=job_id, commands=len(parts), refused=len(faults))
        refused: dict[str, MirrorError] = {}
        for place, problem in sorted(faults.items()):
            part = parts[place]
            told = f"{part.sent.kind} {part.sent.external_id}: {problem} (job {job_id})"
            refused.setdefault(part.delivery.delivery_id, DeliveryRejected(target=self.name, problem=told))
        return refused

    async def _faults(self, parts: Sequence[Part], job_id: str, alone: Delivery | None) -> dict[int, str]:
        """The errors of a job by the place of their command; empty where one of them names no command of ours."""
        found: dict[int, str] = {}
        for fault in await self.imports.faults(job_id):
            places = [place for place in fault.places if 0 <= place < len(parts)] or ([0] if alone else [])
            if not places:
                log.warning("import_error_of_nobody", target=self.name, job=job_id, problem=fault.problem)
                return {}
            for place in places:
                found.setdefault(place, fault.problem)
        return found

    async def _write_down(self, parts: Sequence[Part], job_id: str, job: Job, faults: Mapping[int, str]) -> None:
        """What Collibra has now; what is not known stays in doubt."""
        refused = [part.sent.external_id for place, part in enumerate(parts) if place in faults]
        taken = [part.sent for place, part in enumerate(parts) if place not in faults]
        async with self._attached.writing() as connection:
            await ledger.refuse(connection, self.name, job_id, refused)
            if job.succeeded or (faults and not job.is_cut_short):
                await ledger.accept(connection, self._attached, self.name, job_id, taken)
            else:
                await ledger.doubt(connection, self.name, job_id)

    # What earlier attempts left

    async def _finish(self, batch: Sequence[Delivery], until: float) -> None:
        """See to the end of jobs that these are in; raises `TargetUnavailable` while one of them has not ended."""
        entities = {(one.entity_kind, one.entity_id) for one in batch}
        async with self._attached.reading() as connection:
            known = await ledger.of_entities(connection, self.name, entities)
        for job_id in sorted({one.job_id for some in known.values() for one in some if one.job_id}):
            try:
                job = await self.imports.follow(job_id, until)
            except DeliveryRejected as error:
                log.warning("import_job_unknown", target=self.name, job=job_id, problem=str(error))
                job = Job("ERROR", "", str(error))
            if job is None:
                raise self._unavailable(f"its job {job_id} has not ended yet")
            async with self._attached.writing() as connection:
                if job.succeeded:
                    sent = await ledger.of_job(connection, self.name, job_id)
                    await ledger.accept(connection, self._attached, self.name, job_id, sent)
                else:
                    await ledger.doubt(connection, self.name, job_id)

    async def _planned(self, batch: Sequence[Delivery]) -> Plan:
        async with self._attached.reading() as connection:
            return await plan_of(connection, self.name, self.options.external_system, self.mapping, batch)

    @property
    def _attached(self) -> Store:
        if self._store is None:
            raise StoreUnavailable(problem="the target was not attached to a store", where="nowhere")
        return self._store

    def _unavailable(self, problem: str) -> TargetUnavailable:
        return TargetUnavailable(target=self.name, problem=problem)
