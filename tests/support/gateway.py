"""A pipeline over fakes: engines that are scripted, ports that remember."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from freehold.domain.certificates import Certificate
from freehold.domain.decisions import Room
from freehold.domain.deployment import Deployment, Route
from freehold.domain.egress import EgressIntent, EgressPermit
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.errors.auth import KeyUnknown
from freehold.domain.findings import Detector, DetectRules, NothingSeen
from freehold.domain.identity import Principal, Tenant
from freehold.domain.judging_ports import NothingCertified, Standings
from freehold.domain.labels import Label, Level
from freehold.domain.place import Place
from freehold.domain.ports import Engine, Quotas, Reservation
from freehold.domain.receipt import AuditRecord, Checkpoint, InclusionProof, Receipt
from freehold.domain.request import Dialect, InferenceRequest
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk, TokenCount, Usage
from freehold.domain.turn import Turn
from freehold.domain.vault_ports import NoVault, Vault
from freehold.domain.zones import DEVICE, Zone, ZoneTree
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.prerouting import Prerouting
from freehold.gateway.runtime import Deadlines, NoQuotas, Runtime, Services
from freehold.policy.flow import FlowRules
from freehold.routing.calibration import Calibration
from freehold.wire.openai_whole import Aggregator
from tests.support.ledger import LedgerEntry, entries
from tests.support.rules import shipped_rulebook

TREE = ZoneTree(site_region=Zone("eu"), regions=frozenset({Zone("eu"), Zone("us")}))
PUBLIC = Label(level=Level.PUBLIC, zones=TREE.zones)
INTERNAL = Label(level=Level.INTERNAL, zones=TREE.zones)
RESTRICTED = Label(level=Level.RESTRICTED, zones=frozenset({DEVICE}))
GOOD_KEY = "fh-good"


@dataclass
class ManualClock:
    """Time that stands still until it is moved."""

    now_s: float = 1000.0

    def unix_ms(self) -> int:
        return 1_700_000_000_000 + int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s


@dataclass
class OneKey:
    """Knows one caller."""

    label: Label = PUBLIC
    tenant_label: Label = PUBLIC

    def authenticate(self, credential: str | None) -> Principal:
        if credential != GOOD_KEY:
            raise KeyUnknown
        tenant = Tenant(name="default", label=self.tenant_label)
        scopes = frozenset({"infer", "admin"})
        return Principal(key_id="key-1", key_name="test", tenant=tenant, label=self.label, scopes=scopes)


@dataclass
class CountedSlot:
    counts: dict[str, int]
    name: str
    costs: list[int]
    queue_ms: float = 0.0
    ask: Callable[[], None] = lambda: None

    def release(self, *, tokens: int = 0) -> None:
        if self.name:
            self.counts[self.name] -= 1
            self.costs.append(tokens)
            self.name = ""

    def yields(self, ask: Callable[[], None]) -> None:
        self.ask = ask

    def keeps(self) -> None:
        self.ask = lambda: None


@dataclass
class OpenAdmission:
    """Always has room; remembers what is out, and what it is told that requests cost."""

    out: dict[str, int] = field(default_factory=dict[str, int])
    costs: list[int] = field(default_factory=list[int])

    def room(self, deployment: Deployment, turn: Turn, *, ready: bool, deadline_s: float) -> Room:
        return Room(ready=ready, free=True, waits=True)

    def retry_s(self, deployment: Deployment, turn: Turn) -> int:
        return 1

    def try_admit(self, deployment: Deployment, turn: Turn) -> CountedSlot | None:
        self.out[deployment.name] = self.out.get(deployment.name, 0) + 1
        return CountedSlot(self.out, deployment.name, self.costs)

    async def admit(
        self, deployment: Deployment, turn: Turn, *, deadline_s: float, told: Callable[[Place], None]
    ) -> CountedSlot:
        self.out[deployment.name] = self.out.get(deployment.name, 0) + 1
        return CountedSlot(self.out, deployment.name, self.costs)


@dataclass
class MemoryAudit:
    """An audit log and egress journal in a list. ``broken`` makes every write fail."""

    records: list[AuditRecord] = field(default_factory=list[AuditRecord])
    broken: bool = False

    @property
    def healthy(self) -> bool:
        return not self.broken

    @property
    def size(self) -> int:
        return len(self.records)

    def append(self, *records: AuditRecord) -> int:
        if self.broken:
            raise AuditUnwritable(reason="disk full")
        self.records += records
        return len(self.records) - len(records)

    async def durable(self, index: int) -> None:
        assert index < len(self.records)

    async def prove(self, index: int) -> InclusionProof | None:
        return None

    async def checkpoint(self) -> Checkpoint:
        raise NotImplementedError

    def commit(self, body: bytes, **_: str) -> str:
        return f"commit:{len(body)}"

    async def permit(self, intent: EgressIntent, *, body: bytes) -> EgressPermit:
        index = self.append(
            AuditRecord(
                event="egress.intent",
                unix_ms=0,
                tenant=intent.tenant,
                request_id=intent.request_id,
                detail={"deployment": intent.deployment, "label": intent.label},
            )
        )
        return EgressPermit(
            id=f"permit-{index}",
            audit_index=index,
            origin=intent.origin,
            zone=intent.zone,
            body_sha256=b"",
            expires_monotonic_s=0.0,
            seal=b"",
        )

    def done(self, permit: EgressPermit, *, request_id: str, tenant: str, outcome: str, bytes_sent: int) -> None:
        detail: dict[str, object] = {"intent": permit.audit_index, "outcome": outcome, "bytes": bytes_sent}
        if not self.broken:
            self.append(
                AuditRecord(event="egress.done", unix_ms=0, tenant=tenant, request_id=request_id, detail=detail)
            )

    def events(self) -> list[str]:
        return [record.event for record in self.records]


@dataclass
class MemoryReceipts:
    kept: list[Receipt] = field(default_factory=list[Receipt])
    entries: list[LedgerEntry] = field(default_factory=list[LedgerEntry])

    def keep(self, *receipts: Receipt) -> None:
        self.kept += receipts
        self.entries.extend(entry for receipt in receipts for entry in entries(receipt))

    async def get(self, receipt_id: str, *, tenant: str) -> dict[str, object] | None:
        found = [each for each in self.kept if each.id == receipt_id and each.tenant == tenant]
        return {"id": found[0].id, "audit_index": found[0].audit_index} if found else None

    async def recent(self, *, tenant: str, limit: int, before: str | None) -> list[dict[str, object]]:
        return [{"id": each.id} for each in reversed(self.kept) if each.tenant == tenant][:limit]


@dataclass
class MemorySink:
    """Remembers what it got; ``on_chunk`` is called with each one."""

    dialect: Dialect | None = None
    is_full: bool = False
    deployments: list[str] = field(default_factory=list[str])
    chunks: list[ResponseChunk] = field(default_factory=list[ResponseChunk])
    answer: Aggregator = field(default_factory=Aggregator)
    passed: bytes = b""
    result: EmbeddingResult | None = None
    count: TokenCount | None = None
    receipt: Receipt | None = None
    reservation: Reservation | None = None
    place: Place | None = None
    queue_ms: float = 0.0
    on_chunk: Callable[[ResponseChunk], None] = lambda _: None

    @property
    def text(self) -> str:
        return self.answer.text or "".join(chunk.text for chunk in self.chunks)

    async def drained(self) -> None:
        return

    def limited(self, reservation: Reservation) -> None:
        self.reservation = reservation

    def waits(self, place: Place) -> None:
        self.place = place

    def waited(self, queue_ms: float) -> None:
        self.queue_ms += queue_ms

    def started(self, deployment: Deployment) -> None:
        self.deployments.append(deployment.name)

    def chunk(self, chunk: ResponseChunk) -> None:
        self.chunks.append(chunk)
        self.on_chunk(chunk)

    def events(self, data: bytes) -> bool:
        self.passed += data
        return self.is_full

    def whole(self, body: bytes) -> None:
        self.passed = body

    def collected(self, answer: Aggregator) -> None:
        self.answer = answer

    def ranked(self, result: RerankResult) -> None:
        self.ranking = result

    def vectors(self, result: EmbeddingResult) -> None:
        self.result = result

    def counted(self, count: TokenCount) -> None:
        self.count = count

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:
        self.passed += end
        self.receipt = receipt


class NoPrices:
    def price(self, model: str, *, usage: Usage, unix_ms: int) -> None:
        return None


@dataclass
class House:
    """Everything a test looks at."""

    engines: Mapping[str, Engine]
    routes: Mapping[str, Route]
    calibrations: Mapping[tuple[str, str], Calibration | tuple[Calibration, ...]] = field(
        default_factory=dict[tuple[str, str], "Calibration | tuple[Calibration, ...]"]
    )
    certificates: tuple[Certificate, ...] = ()
    standings: Standings = field(default_factory=NothingCertified)
    route_labels: Mapping[str, Label] = field(default_factory=dict[str, Label])
    keys: OneKey = field(default_factory=OneKey)
    clock: ManualClock = field(default_factory=ManualClock)
    admission: OpenAdmission = field(default_factory=OpenAdmission)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    receipts: MemoryReceipts = field(default_factory=MemoryReceipts)
    observed: list[Receipt] = field(default_factory=list[Receipt])
    quotas: Quotas = field(default_factory=NoQuotas)
    prerouting: Prerouting | None = None
    flow: FlowRules | None = None
    detect: DetectRules | None = None
    detector: Detector = field(default_factory=NothingSeen)
    vault: Vault = field(default_factory=NoVault)
    trusted_vaults: frozenset[str] = frozenset()

    def runtime(self) -> Runtime:
        return Runtime(
            tree=TREE,
            engines=self.engines,
            routes=self.routes,
            route_labels=self.route_labels,
            aliases={"gpt-4o-mini": next(iter(self.routes), "")},
            calibrations=self._calibrations_of,
            hardware=None,
            compare_with="",
            deadlines=Deadlines(),
            config_digest="sha256:test",
            certificates=self.certificates,
            policy=shipped_rulebook(*(engine.deployment for engine in self.engines.values()), tree=TREE),
            flow=self.flow,
            detect=self.detect,
            trusted_vaults=self.trusted_vaults,
        )

    def _calibrations_of(self, name: str, workload: str) -> tuple[Calibration, ...]:
        found = self.calibrations.get((name, workload), ())
        return found if isinstance(found, tuple) else (found,)

    def services(self) -> Services:
        return Services(
            clock=self.clock,
            authenticator=self.keys,
            admission=self.admission,
            audit=self.audit,
            journal=self.audit,
            receipts=self.receipts,
            prices=NoPrices(),
            observe=self.observed.append,
            quotas=self.quotas,
            standings=self.standings,
            detector=self.detector,
            vault=self.vault,
        )

    def pipeline(self) -> Pipeline:
        snapshot = self.runtime()
        return Pipeline(services=self.services(), runtime=lambda: snapshot, prerouting=self.prerouting)

    async def ask(self, request: InferenceRequest, sink: MemorySink | None = None) -> MemorySink:
        """Ask once; what the sink got."""
        pipeline = self.pipeline()
        sink = sink or MemorySink()
        await pipeline.answer(request, pipeline.authenticate(GOOD_KEY), sink)
        return sink

    @property
    def receipt(self) -> Receipt:
        """The one receipt that there must be."""
        assert len(self.receipts.kept) == 1, self.receipts.kept
        return self.receipts.kept[0]


class Leaving:
    """A client that leaves once an answer has come to one of its pieces, which holds it until then.

    Args:
        at_piece: Its place, to be given to the answer as ``before_piece=leaving.hold``.
    """

    def __init__(self, *, at_piece: int) -> None:
        self._at_piece = at_piece
        self._reached = asyncio.Event()

    async def hold(self, place: int) -> None:
        if place == self._at_piece:
            self._reached.set()
            await asyncio.Event().wait()

    def ask(self, at: House, request: InferenceRequest) -> MemorySink:
        """Ask, and leave; what the sink got until then."""
        sink = MemorySink()

        async def leave() -> None:
            asking = asyncio.ensure_future(at.ask(request, sink))
            await self._reached.wait()
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking

        asyncio.run(leave())
        return sink
