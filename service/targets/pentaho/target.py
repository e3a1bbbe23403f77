"""The target: changes of linked things settle for a while, then become as few jobs at Pentaho as possible."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Change, Origin
from service.errors import DeliveryRejected, MirrorError, SettingInvalid, TransientError
from service.mirror.deliveries import Delivery
from service.mirror.store import Store
from service.pipeline.answers import LINEAGE_TARGET, Answerer
from service.settings.model import Settings, TargetSettings
from service.targets.base import Sending, Target, announced_to, installed_targets
from service.targets.options import options_of, setting_of
from service.targets.pentaho import checks, ledger, links, planning, rules, subjects, usage
from service.targets.pentaho.announcing import Announcer
from service.targets.pentaho.data_sources import DataSources
from service.targets.pentaho.ledger import Share, State
from service.targets.pentaho.links import Link
from service.targets.pentaho.operations import EXECUTE_PATH, OPERATIONS
from service.targets.pentaho.options import Options
from service.targets.pentaho.planning import Planned
from service.targets.pentaho.rules import Concern, Wish
from service.targets.pentaho.runner import Runner
from service.targets.pentaho.sign_in import PasswordSignIn
from service.targets.posting import Poster
from service.targets.sign_in import SignIn, given, password_of
from service.text import documents

log = structlog.get_logger(__name__)

#: Deliveries taken at once, in jobs of the largest size: what is left over makes one job more per operation.
_JOBS_AT_ONCE, _AT_ONCE_MAX = 10, 20_000
#: Seconds between two turns of tending at most.
_TEND_S = 1.0
#: Seconds between two looks whether usage statistics are due, at most.
_USAGE_LOOK_S = 60.0
#: Jobs that one turn of tending takes in hand.
_TURN = 50
#: Why a job waits that another replica, or one that died, has in hand.
_SILENT = "whoever asked for the job has not said yet what became of it"
#: Bytes of an answer that are read: the answer to a request repeats its scope, with titles.
_MAX_ANSWER = 64 * 1024**2


class Pentaho(Target):
    """One Pentaho Data Catalog."""

    def __init__(self, name: str, origins: Sequence[Origin], settings: Settings, options: Options) -> None:
        super().__init__(name, origins)
        chosen = settings.target(name)
        self.options = options
        self.settles_s = options.settle_s
        self.tends_every_s = min(_TEND_S, options.poll_s)
        self.at_once = min(_AT_ONCE_MAX, _JOBS_AT_ONCE * options.scope_max)
        self.data_sources = DataSources(name, options.data_sources)
        self.url = (chosen.url or "").rstrip("/")
        sign_in = _sign_in(name, self.url, chosen, options)
        self.poster = Poster(
            name, self.url, sign_in, options.timeout_s, chosen.ca_file, fresh=True, max_answer=_MAX_ANSWER
        )
        self._answerer = Answerer(settings.target(LINEAGE_TARGET))
        #: Deletions are the catalog's word, not a hint's: those are verified.
        self._deletions_are_verified = settings.catalog.url is not None
        self._store: Store | None = None
        self._runner: Runner | None = None
        self._revision: str | None = ""
        self._usage_looked_at = -math.inf
        self._linked: Mapping[str, frozenset[str]] = {}

    @classmethod
    def create(cls, name: str, settings: Settings) -> Pentaho | None:
        """On where a URL is set, unless turned off.

        Raises:
            SettingInvalid: nothing to sign in with, or options that cannot be used.
        """
        chosen = settings.target(name)
        if chosen.via == "off" or chosen.url is None:
            return None
        if chosen.via == "amqp":
            raise SettingInvalid(setting=setting_of(name, "VIA"), problem="Pentaho is told over HTTP alone")
        return cls(name, chosen.origins, settings, options_of(name, chosen, Options))

    def attach(self, store: Store) -> None:
        """Links, jobs and the state of things are there."""
        self._store = store

    @property
    def runner(self) -> Runner:
        """What asks for jobs, once there is a store."""
        if self._runner is None:
            to = self.announces_to if self.options.announce else ()
            announcer = Announcer(self.name, self._answerer, to)
            self._runner = Runner(
                self.name, self._mirror, self.options, self.data_sources, self.poster, announcer, self.metrics
            )
        return self._runner

    @property
    def _mirror(self) -> Store:
        if self._store is None:
            raise RuntimeError("the target has no store yet")
        return self._store

    async def prepare(self, connection: AsyncConnection) -> None:
        """What is linked, read anew when it changed."""
        revision = await links.revision(connection, self.name)
        if revision == self._revision:
            return
        self._linked = await links.ids_by_kind(connection, self.name)
        self._revision = revision
        if not any(self._linked.values()):
            log.warning("nothing_is_linked", target=self.name, remedy=checks.NOTHING_LINKED)

    def wants(self, change: Change) -> bool:
        """Whether a rule is on that the change falls under, for something that is linked; what is not is counted."""
        subject = rules.matter_of(change)
        found = rules.concerns(subject, self.options) if subject else []
        if any(one.catalog_id in self._linked.get(one.kind, ()) for one in found):
            return True
        if found and subject and subject.link_kind and self.metrics:
            self.metrics.unlinked.labels(self.name, subject.link_kind).inc()
        return False

    async def remarks(self) -> list[str]:
        """That links are missing, as long as there are none."""
        async with self._mirror.reading() as connection:
            linked = await links.ids_by_kind(connection, self.name)
        return [] if any(linked.values()) else [checks.NOTHING_LINKED]

    async def deliver(self, batch: Sequence[Delivery]) -> list[MirrorError | None]:
        """Write down which jobs the batch asks for, then ask; a delivery has arrived when all of its jobs have ids.

        What came of a delivery before, in whatever batch, is found again: it is not asked for a second time.
        """
        obstacle: TransientError | None = None
        shares = await self._planned(batch)
        tried: set[str] = set()
        # A job that is refused as a whole leaves two in its place, which are asked for at once.
        while obstacle is None and (keys := _to_ask(shares, tried)):
            tried.update(keys)
            obstacle = await self.runner.work(keys)
            async with self._mirror.reading() as connection:
                shares = await ledger.shares(connection, [delivery.delivery_id for delivery in batch])
        return self._results(batch, shares, obstacle)

    async def _planned(self, batch: Sequence[Delivery]) -> list[Share]:
        ids = [delivery.delivery_id for delivery in batch]
        await self.runner.flush()
        async with self._mirror.writing() as connection:
            await ledger.one_at_a_time(connection, self.name)
            there = {share.delivery_id for share in await ledger.shares(connection, ids)}
            fresh = [delivery for delivery in batch if delivery.delivery_id not in there]
            await ledger.insert(connection, self.name, await self._jobs(connection, fresh))
            return await ledger.shares(connection, ids)

    async def _jobs(self, connection: AsyncConnection, batch: Sequence[Delivery]) -> list[Planned]:
        found = await subjects.of_deliveries(
            connection, batch, self.options, trusts_deletions=self._deletions_are_verified
        )
        linked = await links.of_catalog(
            connection, self.name, {one.catalog_id for some in found.values() for one in some}
        )
        wishes = {
            delivery_id: [wish for one in some for wish in self._wishes(one, linked.get(one.catalog_id, ()))]
            for delivery_id, some in found.items()
        }
        return planning.jobs(wishes, self.options.scope_max)

    def _wishes(self, concern: Concern, linked: Sequence[Link]) -> Iterator[Wish]:
        of_its_kind = [link for link in linked if link.kind == concern.kind]
        return rules.wishes(concern, of_its_kind, self.options, self.data_sources)

    def _results(
        self, batch: Sequence[Delivery], shares: Sequence[Share], obstacle: TransientError | None
    ) -> list[MirrorError | None]:
        theirs: dict[str, list[Share]] = {}
        for share in shares:
            theirs.setdefault(share.delivery_id, []).append(share)
        return [self._result(theirs.get(delivery.delivery_id, ()), obstacle) for delivery in batch]

    def _result(self, shares: Sequence[Share], obstacle: TransientError | None) -> MirrorError | None:
        refused = [share for share in shares if share.state is State.REFUSED]
        asking = [share for share in shares if share.state is State.ASKING]
        if asking:
            return obstacle or self.runner.unavailable(asking[0].problem or _SILENT)
        if not refused:
            return None
        return DeliveryRejected(target=self.name, problem=refused[0].problem)

    async def tend(self) -> bool | None:
        """Ask for jobs that follow on others, and look how running ones stand."""
        await self.runner.flush()
        await self._look_at_usage()
        async with self._mirror.reading() as connection:
            keys = await ledger.due(connection, self._mirror, self.name, _TURN)
        if keys and (obstacle := await self.runner.work(keys)):
            raise obstacle
        return len(keys) == _TURN if keys else None

    async def _look_at_usage(self) -> None:
        """Now and then, whether usage statistics are to be asked for."""
        now = time.monotonic()
        if now < self._usage_looked_at + min(_USAGE_LOOK_S, self.options.usage_every_s):
            return
        self._usage_looked_at = now
        async with self._mirror.reading() as connection:
            is_due = await usage.is_due(connection, self._mirror, self.name, self.options)
        if is_due:
            async with self._mirror.writing() as connection:
                await usage.take_turn(connection, self._mirror, self.name, self.options)

    async def plan(self, batch: Sequence[Delivery]) -> list[Sending]:
        """The requests of these deliveries and of jobs that wait, secrets hidden; looking up states is not shown."""
        ids = [delivery.delivery_id for delivery in batch]
        async with self._mirror.reading() as connection:
            shares = await ledger.shares(connection, ids)
            there = {share.delivery_id for share in shares}
            fresh = await self._jobs(connection, [one for one in batch if one.delivery_id not in there])
            keys = sorted({share.job_key for share in shares if share.state is State.ASKING})
            fresh += await usage.due(connection, self._mirror, self.name, self.options)
            due = await ledger.asking(connection, self.name)
            written = await ledger.requests(connection, [*keys, *(key for key in due if key not in keys)])
        planned = [
            self._sending(operation, request, [share.delivery_id for share in shares if share.job_key == key])
            for key, (operation, request) in written.items()
        ]
        return planned + [self._sending(one.operation, one.request, [who for who, _ in one.parts]) for one in fresh]

    def _sending(self, operation: str, request: dict[str, object], delivery_ids: Sequence[str]) -> Sending:
        body = documents.canonical(self.runner.shown(operation, request)).decode()
        to = f"POST {self.url}{EXECUTE_PATH}{OPERATIONS[operation].path}"
        return Sending(to, body, tuple(sorted(set(delivery_ids))))

    async def close(self) -> None:
        """Close the connections."""
        await self.poster.close()


def configured(settings: Settings, name: str) -> Pentaho | None:
    """The Pentaho of this name, ready for work by hand; None where settings have none."""
    targets = installed_targets(settings)
    found = next((one for one in targets if one.name == name and isinstance(one, Pentaho)), None)
    if found is not None:
        found.announces_to = announced_to(targets)
    return found


def _to_ask(shares: Sequence[Share], tried: set[str]) -> list[str]:
    return sorted({share.job_key for share in shares if share.state is State.ASKING} - tried)


def _sign_in(name: str, url: str, chosen: TargetSettings, options: Options) -> SignIn:
    """A token where one is given, else user and password."""
    if chosen.token or chosen.token_file:
        return given(name, chosen)
    if not chosen.username or not (chosen.password or chosen.password_file):
        problem = "Pentaho asks for a user with PASSWORD or PASSWORD_FILE, or for a TOKEN or TOKEN_FILE"
        raise SettingInvalid(setting=setting_of(name, "USERNAME"), problem=problem)
    password = password_of(name, chosen)
    return PasswordSignIn(name, url, chosen.username, password, options.sign_in, options.timeout_s, chosen.ca_file)
