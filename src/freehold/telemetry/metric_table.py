"""Every metric there is: the declaration that code, docs and tests are held against.

Names follow Prometheus' conventions: prefix, what is counted, base unit last, ``_total`` for counters. Money is the
exception to base units: whole micro-units of a currency, since money is never a float. What every program shows about
its process (``process_…``) has the names that all client libraries give it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MetricType(StrEnum):
    """Prometheus' types that are used."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """One metric.

    Attributes:
        name: Full name.
        type: How it behaves.
        help: One line for people.
        labels: Label names in the order in which values are given.
        buckets: Upper bounds of a histogram's buckets, ascending, without infinity.
    """

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_TOKEN_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
_LAG_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

REQUESTS = MetricSpec(
    name="freehold_requests_total",
    type=MetricType.COUNTER,
    help="Requests by route, deployment that answered (or was tried last) and outcome.",
    labels=("route", "deployment", "outcome"),
)
ATTEMPTS = MetricSpec(
    name="freehold_attempts_total",
    type=MetricType.COUNTER,
    help="Calls to deployments by outcome.",
    labels=("deployment", "outcome"),
)
ESCALATIONS = MetricSpec(
    name="freehold_escalations_total",
    type=MetricType.COUNTER,
    help="Answers turned down in favour of the next deployment, by reason.",
    labels=("route", "deployment", "reason"),
)
ERRORS = MetricSpec(
    name="freehold_errors_total",
    type=MetricType.COUNTER,
    help="Requests that ended with an error, by its code.",
    labels=("code",),
)
REFUSALS = MetricSpec(
    name="freehold_refusals_total",
    type=MetricType.COUNTER,
    help="Requests that were refused before any deployment was called, by the error's code.",
    labels=("code",),
)
FAILOVERS = MetricSpec(
    name="freehold_failovers_total",
    type=MetricType.COUNTER,
    help="Calls to another deployment after this one had failed, before any byte was sent to the client.",
    labels=("route", "deployment"),
)
RETRIES = MetricSpec(
    name="freehold_retries_total",
    type=MetricType.COUNTER,
    help="Further calls to a deployment that was called before for the same request.",
    labels=("deployment",),
)
TOKENS = MetricSpec(
    name="freehold_tokens_total",
    type=MetricType.COUNTER,
    help="Tokens by direction: input (cached ones included), cached, output.",
    labels=("deployment", "direction"),
)
EGRESS_BYTES = MetricSpec(
    name="freehold_egress_bytes_total",
    type=MetricType.COUNTER,
    help="Body bytes that left this machine.",
    labels=("deployment", "zone"),
)
COST_MICROS = MetricSpec(
    name="freehold_cost_micros_total",
    type=MetricType.COUNTER,
    help="Cost of priced attempts in millionths of the currency's unit.",
    labels=("deployment", "currency"),
)
UNPRICED_ATTEMPTS = MetricSpec(
    name="freehold_unpriced_attempts_total",
    type=MetricType.COUNTER,
    help="Attempts whose cost is not known.",
    labels=("deployment",),
)
FIRST_TOKEN_SECONDS = MetricSpec(
    name="freehold_first_token_seconds",
    type=MetricType.HISTOGRAM,
    help="From a call's start to its first token.",
    labels=("deployment",),
    buckets=_LATENCY_S,
)
FIRST_CHUNK_SECONDS = MetricSpec(
    name="freehold_first_chunk_seconds",
    type=MetricType.HISTOGRAM,
    help="From a streamed request's arrival to the first token of its answer, queue and earlier attempts included.",
    labels=("route",),
    buckets=_LATENCY_S,
)
OUTPUT_TOKEN_SECONDS = MetricSpec(
    name="freehold_output_token_seconds",
    type=MetricType.HISTOGRAM,
    help="Mean time between two tokens of one answer, the first one left out.",
    labels=("deployment",),
    buckets=_TOKEN_S,
)
REQUEST_SECONDS = MetricSpec(
    name="freehold_request_seconds",
    type=MetricType.HISTOGRAM,
    help="From a request's arrival to the last byte of its answer.",
    labels=("route",),
    buckets=_LATENCY_S,
)
QUEUE_SECONDS = MetricSpec(
    name="freehold_queue_wait_seconds",
    type=MetricType.HISTOGRAM,
    help="Wait for a slot of a deployment.",
    labels=("deployment",),
    buckets=_LATENCY_S,
)
REQUESTS_IN_FLIGHT = MetricSpec(
    name="freehold_requests_in_flight",
    type=MetricType.GAUGE,
    help="Requests that are being answered now.",
)
UPSTREAM_CONNECTIONS = MetricSpec(
    name="freehold_upstream_connections",
    type=MetricType.GAUGE,
    help="Connections to a deployment now, by state: busy or idle.",
    labels=("deployment", "state"),
)
ENGINE_READY = MetricSpec(
    name="freehold_engine_ready",
    type=MetricType.GAUGE,
    help="1 if the engine can be asked: it has generated a token since it started, or is loaded when it is asked.",
    labels=("deployment",),
)
ENGINE_RESTARTS = MetricSpec(
    name="freehold_engine_restarts",
    type=MetricType.GAUGE,
    help="Starts of the engine after the first.",
    labels=("deployment",),
)
MODEL_LOADS = MetricSpec(
    name="freehold_model_loads_total",
    type=MetricType.COUNTER,
    help="Times that a deployment's model was loaded into memory.",
    labels=("deployment",),
)
MODEL_LOAD_SECONDS = MetricSpec(
    name="freehold_model_load_seconds_total",
    type=MetricType.COUNTER,
    help="Seconds that loading a deployment's model took, all times together.",
    labels=("deployment",),
)
MODEL_EVICTIONS = MetricSpec(
    name="freehold_model_evictions_total",
    type=MetricType.COUNTER,
    help="Times that a deployment's model was unloaded: for another one, for being idle, or by command.",
    labels=("deployment",),
)
MODEL_RESERVED_BYTES = MetricSpec(
    name="freehold_model_reserved_bytes",
    type=MetricType.GAUGE,
    help="Memory that is set aside for a deployment's model now, on all devices together; 0 while it is not loaded.",
    labels=("deployment",),
)
OVERLOAD_LEVEL = MetricSpec(
    name="freehold_overload_level",
    type=MetricType.GAUGE,
    help="What is refused for want of memory or time: 0 nothing, 1 batch, 2 low priority too, 3 new streams too,"
    " 4 all but health, 5 new connections too; 6 while the server stops.",
)
QUEUE_DEPTH = MetricSpec(
    name="freehold_queue_depth",
    type=MetricType.GAUGE,
    help="Requests that wait for a slot now, by priority: normal, low or batch.",
    labels=("deployment", "priority"),
)
AUDIT_ENTRIES = MetricSpec(
    name="freehold_audit_entries",
    type=MetricType.GAUGE,
    help="Entries in the audit log.",
)
AUDIT_UNSYNCED = MetricSpec(
    name="freehold_audit_unsynced_entries",
    type=MetricType.GAUGE,
    help="Entries of the audit log on their way to the disk: what a power cut would cost now.",
)
AUDIT_HEALTHY = MetricSpec(
    name="freehold_audit_healthy",
    type=MetricType.GAUGE,
    help="1 while the audit log can be written; at 0 nothing leaves this machine.",
)
EGRESS_BROKER_HEALTHY = MetricSpec(
    name="freehold_egress_broker_healthy",
    type=MetricType.GAUGE,
    help="1 while the egress broker answers and can record; at 0 nothing leaves this machine. Only with [egress] broker.",
)
STORAGE_HEALTHY = MetricSpec(
    name="freehold_storage_healthy",
    type=MetricType.GAUGE,
    help="1 while receipts can be written.",
)
STORAGE_QUEUE_DEPTH = MetricSpec(
    name="freehold_storage_queue_depth",
    type=MetricType.GAUGE,
    help="Writes that wait for the disk now.",
)
RECEIPTS_UNINDEXED = MetricSpec(
    name="freehold_receipts_unindexed",
    type=MetricType.GAUGE,
    help="Receipts in the journal that are not in the database yet; they can be read all the same.",
)
LOG_LINES_DROPPED = MetricSpec(
    name="freehold_log_lines_dropped_total",
    type=MetricType.COUNTER,
    help="Log lines lost, since their sink was too slow or failed.",
)
SPANS_SENT = MetricSpec(
    name="freehold_spans_sent_total",
    type=MetricType.COUNTER,
    help="Requests whose spans a collector has taken.",
)
SPANS_DROPPED = MetricSpec(
    name="freehold_spans_dropped_total",
    type=MetricType.COUNTER,
    help="Requests whose spans were lost: the queue was full, or the collector was away or refused them.",
    labels=("reason",),
)
LOOP_LAG_SECONDS = MetricSpec(
    name="freehold_event_loop_lag_seconds",
    type=MetricType.HISTOGRAM,
    help="How late the event loop was for a timer, looked at twice a second.",
    buckets=_LAG_S,
)
PROCESS_CPU_SECONDS = MetricSpec(
    name="process_cpu_seconds_total",
    type=MetricType.COUNTER,
    help="CPU time of this process, user and system.",
)
PROCESS_MEMORY_BYTES = MetricSpec(
    name="process_resident_memory_bytes",
    type=MetricType.GAUGE,
    help="Memory of this process that is resident; engines run in processes of their own.",
)
PROCESS_OPEN_FDS = MetricSpec(
    name="process_open_fds",
    type=MetricType.GAUGE,
    help="File descriptors that this process has open.",
)
PROCESS_MAX_FDS = MetricSpec(
    name="process_max_fds",
    type=MetricType.GAUGE,
    help="Most file descriptors that this process may have open.",
)
PROCESS_START_SECONDS = MetricSpec(
    name="process_start_time_seconds",
    type=MetricType.GAUGE,
    help="Start of this process, in seconds since 1970.",
)
BUILD = MetricSpec(
    name="freehold_build_info",
    type=MetricType.GAUGE,
    help="Always 1; the versions of Freehold and of Python are its labels.",
    labels=("version", "python"),
)

SHADOWS = MetricSpec(
    name="freehold_shadows_total",
    type=MetricType.COUNTER,
    help="Shadows of accepted answers by the deployment to be asked and what became of them: asked, repeated, dropped or failed.",
    labels=("deployment", "what"),
)
CERTIFICATE_ALARMS = MetricSpec(
    name="freehold_certificate_alarms",
    type=MetricType.GAUGE,
    help="Tenants and workloads for which a deployment's certificate is at alarm: nothing of it is accepted.",
    labels=("deployment",),
)
OUTCOMES_DROPPED = MetricSpec(
    name="freehold_outcomes_dropped_total",
    type=MetricType.COUNTER,
    help="Outcomes of judged answers that were lost: more came than could be written, or the disk failed.",
)

METRICS: tuple[MetricSpec, ...] = (
    REQUESTS,
    REQUESTS_IN_FLIGHT,
    ATTEMPTS,
    ESCALATIONS,
    FAILOVERS,
    RETRIES,
    ERRORS,
    REFUSALS,
    TOKENS,
    EGRESS_BYTES,
    COST_MICROS,
    UNPRICED_ATTEMPTS,
    FIRST_CHUNK_SECONDS,
    FIRST_TOKEN_SECONDS,
    OUTPUT_TOKEN_SECONDS,
    REQUEST_SECONDS,
    QUEUE_SECONDS,
    OVERLOAD_LEVEL,
    QUEUE_DEPTH,
    UPSTREAM_CONNECTIONS,
    ENGINE_READY,
    ENGINE_RESTARTS,
    MODEL_LOADS,
    MODEL_LOAD_SECONDS,
    MODEL_EVICTIONS,
    MODEL_RESERVED_BYTES,
    AUDIT_ENTRIES,
    AUDIT_UNSYNCED,
    AUDIT_HEALTHY,
    EGRESS_BROKER_HEALTHY,
    STORAGE_HEALTHY,
    STORAGE_QUEUE_DEPTH,
    RECEIPTS_UNINDEXED,
    SHADOWS,
    CERTIFICATE_ALARMS,
    OUTCOMES_DROPPED,
    LOG_LINES_DROPPED,
    SPANS_SENT,
    SPANS_DROPPED,
    LOOP_LAG_SECONDS,
    PROCESS_CPU_SECONDS,
    PROCESS_MEMORY_BYTES,
    PROCESS_OPEN_FDS,
    PROCESS_MAX_FDS,
    PROCESS_START_SECONDS,
    BUILD,
)
