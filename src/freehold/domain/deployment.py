"""A model on an engine in a zone, and the routes that order them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from freehold.domain.labels import Level
from freehold.domain.trust import Sanitise
from freehold.domain.zones import DEVICE, Zone


class EngineKind(StrEnum):
    """How a deployment is reached."""

    EMBEDDED = "embedded"
    ONNX = "onnx"
    LLAMA_SERVER = "llama-server"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known of a model.

    Attributes:
        name: The model's name at its engine.
        digest: ``sha256:…`` of the weights, with the adapters that change them; empty for a model that is not ours to
            hash.
        weights_digest: ``sha256:…`` of the weights alone, where there are adapters; empty for ``digest``.
        context_tokens: Longest prompt plus answer.
        tools: Whether it can call tools.
        vision: Whether it takes images.
        embeds: Whether it serves embeddings.
        reranks: Whether it tells how well documents answer a query.
        infill: Whether it fills in the middle.
        license: SPDX expression; empty where unknown.
        size_bytes: Of the weights; 0 for a model that is not ours to weigh.
    """

    name: str
    digest: str = ""
    weights_digest: str = ""
    context_tokens: int = 4096
    tools: bool = True
    vision: bool = False
    embeds: bool = False
    reranks: bool = False
    infill: bool = False
    license: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an upstream promises about the texts it gets. Outside the LAN a missing fact is the worst value.

    Attributes:
        clearance: Highest level it may see.
        kinds: Kinds it is cleared for; ``None`` means all.
        retention_days: How long it keeps texts.
        trains: Whether it may train on them.
        contracts: ``dpa``, ``baa``, ``scc``, ``zdr``.
        expires_unix_ms: When the evidence for these terms expires; after that it is cleared for public only.
    """

    clearance: Level = Level.PUBLIC
    kinds: frozenset[str] | None = frozenset()
    retention_days: int = 36_500
    trains: bool = True
    contracts: frozenset[str] = frozenset()
    expires_unix_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """List price in micro-units of ``currency`` per million tokens, with where it comes from.

    ``price_version`` names the edition of ``source``; the same edition prices the same usage to the same amount.
    """

    input_micros_per_mtok: int
    output_micros_per_mtok: int
    cached_input_micros_per_mtok: int | None = None
    currency: str = "USD"
    source: str = "config"
    price_version: str = ""
    effective: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedPrice:
    """What a model costs from a moment on.

    Attributes:
        model: As ``provider/model``.
        from_unix_ms: Since when.
        price: What.
    """

    model: str
    from_unix_ms: int
    price: TokenPrice


class PromptCache(StrEnum):
    """What is done about a server's cache of prompts, which its answers show: by a count, and by how soon they come.

    Attributes:
        SHARED: Nothing: whoever asks the server may use again what was read for somebody else.
        SALTED: A salt is sent, by which vLLM and SGLang keep it apart.
        UNUSED: llama.cpp is told to read each prompt anew.
    """

    SHARED = "shared"
    SALTED = "salted"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """An address that a deployment is called at.

    Attributes:
        base_url: ``https://host/v1``, ``http://…`` or ``unix:///path``; fixed by configuration, never by a request.
        credential: Secret already resolved, sent as the upstream wants it; empty for none.
        ca_file: PEM file of the authority to trust instead of the system's; empty for the system's.
        prompt_cache: What is done about its cache of prompts.
    """

    base_url: str
    credential: str = ""
    ca_file: str = ""
    prompt_cache: PromptCache = PromptCache.SHARED

    def __repr__(self) -> str:
        return f"Upstream(base_url={self.base_url!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A model on an engine in exactly one zone.

    Attributes:
        name: Unique; what clients, receipts and metrics call it.
        engine: How it is reached.
        model: What is known of the model.
        zone: Where it runs.
        terms: What it promises.
        slots: Requests it runs at once.
        queue_max: Requests that may wait for one of its slots.
        price: Typed-in list price; ``None`` means looked up or, for owned hardware, computed.
        price_model: ``provider/model`` to look the price up with; empty for none.
    """

    name: str
    engine: EngineKind
    model: ModelCard
    zone: Zone
    terms: Terms
    slots: int = 1
    queue_max: int = 64
    price: TokenPrice | None = None
    price_model: str = ""

    @property
    def is_on_device(self) -> bool:
        """Whether a text sent to it stays on this machine."""
        return self.zone == DEVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFingerprint:
    """What besides the weights decides how a model answers; a calibration holds only for the same one.

    Attributes:
        engine: For example ``llama.cpp``.
        version: The engine's own version, for example ``b11549``; empty where unknown.
        template_sha256: Hex digest of the chat template in use; empty where unknown.
        stands_for_model: Of a model whose weights are not ours to hash, a digest of what is known of it, ``known:…``;
            empty where nothing is, and for weights that are ours.
    """

    engine: str
    version: str = ""
    template_sha256: str = ""
    stands_for_model: str = ""

    def model_digest(self, card: ModelCard) -> str:
        """What a calibration knows the model by; empty where nothing is known of it."""
        return card.digest or self.stands_for_model


class StreamMode(StrEnum):
    """When a streamed answer is judged.

    Attributes:
        HOLD: Whole, before any of it is sent.
        PREFIX: By its first tokens; then the rest passes live, or the next deployment is tried.
        COMMIT: Not before it is sent.
    """

    HOLD = "hold"
    PREFIX = "prefix"
    COMMIT = "commit"


class Uncalibrated(StrEnum):
    """The operator's stated default where no calibration holds."""

    ACCEPT = "accept"
    ESCALATE = "escalate"


class Instead(StrEnum):
    """What may be done where the deployment whose turn it is has no room; see ``routing/degrade.py``."""

    QUEUE = "queue"
    SMALLER = "smaller"
    OVERFLOW = "overflow"
    OVERFLOW_FARTHER = "overflow-farther"


class Declassify(StrEnum):
    """What a route does with a text that may not go further as it is.

    Attributes:
        OFF: Nothing: it stays.
        REDACT: What was found is taken out for good.
        PSEUDONYMISE: It is replaced, and put back in the answer.
    """

    OFF = "off"
    REDACT = "redact"
    PSEUDONYMISE = "pseudonymise"


class Prerouter(StrEnum):
    """Whether a route looks at the question before the first attempt.

    Attributes:
        OFF: No.
        WATCH: It makes the question's vector, so that outcomes are known by question; it changes no plan.
        ON: It also leaves out local tries that are hopeless by what became of questions like it.
    """

    OFF = "off"
    WATCH = "watch"
    ON = "on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What is asked, and of whom, about an answer that is neither clearly good nor clearly bad.

    Attributes:
        second_opinion: Deployment that is asked the same; empty for none.
        samples: Further answers of the one that answered, 0 to 6.
        self_check: Deployment that is asked whether the answer is right; empty for none.
        grey_zone: Half the width of the zone around the threshold, as a probability, 0 to 0.5.
        beyond_device: Whether they may be asked beyond this device, where policy permits it.
    """

    second_opinion: str = ""
    samples: int = 0
    self_check: str = ""
    grey_zone: float = 0.1
    beyond_device: bool = False

    @property
    def is_none(self) -> bool:
        """Nothing is ever asked."""
        return not (self.second_opinion or self.samples or self.self_check)

    @property
    def names(self) -> tuple[str, ...]:
        """Deployments that may be asked, each once."""
        return tuple(dict.fromkeys(name for name in (self.second_opinion, self.self_check) if name))


NO_DOUBT = Doubt()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a client asks for: ordered deployments and how to judge between them.

    Attributes:
        name: What clients send as ``model``.
        deployments: Names, first choice first.
        workload: Kind of task; chooses the calibration.
        accept_at: Accept an answer whose calibrated probability is at least this, 0 to 1.
        risk_max: Accepted answers shall be certified to be wrong at most so often, above 0, below 1; ``None`` for no
            such wish.
        uncalibrated: What to do where no calibration holds, or no certificate where ``risk_max`` wants one.
        stream: When streamed answers are judged.
        prefix_tokens: Of how many tokens the prefix is that ``StreamMode.PREFIX`` judges.
        signals: Whether log-probabilities are asked for, so that answers can be judged.
        attempts_max: Most deployments tried for one request.
        when_busy: What to do where a deployment has no free slot, first choice first.
        when_down: What to do where it is not ready, or left alone for its failures.
        shadow_share: Share of accepted answers about which a stronger deployment is asked afterwards, 0 to 1.
        canary: A deployment on this device, of another version of a model, that is asked some of the same afterwards to be
            compared; empty for none.
        canary_share: Share of answered requests that it is asked, 0 to 1.
        doubt: What else is asked in the grey zone.
        prerouter: Whether the question is looked at before the first attempt.
        embedder: The deployment that makes vectors of questions for it.
        workloads: Kinds of task that a question may be taken for instead of ``workload``.
        as_written: The deployments in the order of whoever wrote the route, weakest first, where what an answer is worth has
            put them into another; empty where it has not.
        worth_micros: What a right answer is worth, in micro-units of the ledger's currency; ``None`` where nobody said.
        sanitise: When its answers are cleaned of what could fetch, lead away or hide.
        declassify: What is done with a text that may not go further as it is.
        redact_answers: Whether values that its client did not send are taken out of its answers.
        vault: Vault whose passages go into every chat on it; empty for those that ask for one.
        only_what_may_leave: Whether passages that would keep a request from its first deployment are left out.
        gains: By deployment, how much more often right it must be to be asked next: its cost, as a share of that worth.
    """

    name: str
    deployments: tuple[str, ...]
    workload: str = "general"
    accept_at: float = 0.7
    risk_max: float | None = None
    uncalibrated: Uncalibrated = Uncalibrated.ACCEPT
    stream: StreamMode = StreamMode.HOLD
    prefix_tokens: int = 32
    signals: bool = True
    attempts_max: int = 2
    when_busy: tuple[Instead, ...] = (Instead.QUEUE,)
    when_down: tuple[Instead, ...] = (Instead.QUEUE,)
    shadow_share: float = 0.0
    canary: str = ""
    canary_share: float = 0.0
    doubt: Doubt = NO_DOUBT
    prerouter: Prerouter = Prerouter.OFF
    embedder: str = ""
    workloads: tuple[str, ...] = ()
    as_written: tuple[str, ...] = ()
    worth_micros: int | None = None
    gains: tuple[tuple[str, float], ...] = ()
    sanitise: Sanitise = Sanitise.UNTRUSTED
    declassify: Declassify = Declassify.OFF
    redact_answers: bool = False
    vault: str = ""
    only_what_may_leave: bool = False
