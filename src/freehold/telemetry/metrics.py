"""Counting while requests run, rendering only when somebody scrapes.

A series is a small object with a plain integer in it. Who counts often keeps the object (``counter``, ``histogram``),
so that one count is one addition: about 0.03 µs, against 0.7 µs of a client library. All updates come from the event
loop's thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping

from freehold.telemetry.metric_table import METRICS, MetricSpec, MetricType

OTHER = "other"

_SERIES_MAX = 2_000
_MS_PER_S = 1_000
_SUM_DIGITS = 9


class Series:
    """One counter or gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: int | float = 0


class Histogram:
    """Counts per bucket, and the sum in milliseconds."""

    __slots__ = ("bounds_ms", "counts", "sum_ms")

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self.bounds_ms = [bound * _MS_PER_S for bound in bounds_s]
        self.counts = [0] * (len(bounds_s) + 1)
        self.sum_ms = 0.0

    def observe_ms(self, ms: float) -> None:
        """Count one duration; negative ones, which only a jumping clock makes, count as 0."""
        if ms > 0.0:
            self.counts[bisect_left(self.bounds_ms, ms)] += 1
            self.sum_ms += ms
        else:
            self.counts[0] += 1


class Metrics:
    """All metrics of one process.

    The number of series is bounded: a label that has known values (routes, deployments and zones of the
    configuration) shows every other value as ``other``, and a metric that reached 2,000 series shows further ones so.

    Attributes:
        generation: Rises with every ``know``: series that were looked up before may have other labels now.
    """

    def __init__(self, known: Mapping[str, Collection[str]], *, series_max: int = _SERIES_MAX) -> None:
        """Start at zero.

        Args:
            known: Allowed values by label name; labels not named here are bounded by ``series_max`` alone.
            series_max: Most series of one metric.
        """
        self.generation = 0
        self._series_max = series_max
        self._known: dict[str, frozenset[str]] = {}
        self._values: dict[str, dict[tuple[str, ...], Series]] = {
            spec.name: {} for spec in METRICS if spec.type is not MetricType.HISTOGRAM
        }
        self._histograms: dict[str, dict[tuple[str, ...], Histogram]] = {
            spec.name: {} for spec in METRICS if spec.type is MetricType.HISTOGRAM
        }
        self.know(known)

    def know(self, known: Mapping[str, Collection[str]]) -> None:
        """Take over the names of a new configuration. Series of names that are gone stay, as counters must."""
        self._known = {label: frozenset(values) | {""} for label, values in known.items()}
        self.generation += 1

    def counter(self, spec: MetricSpec, *labels: str) -> Series:
        """The series of a counter or gauge, made at 0 if it is new. Good until the next ``know``."""
        found = self._values[spec.name]
        key = self._key(spec, labels, found)
        series = found.get(key)
        if series is None:
            series = found[key] = Series()
        return series

    def histogram(self, spec: MetricSpec, *labels: str) -> Histogram:
        """The series of a histogram, made empty if it is new. Good until the next ``know``."""
        found = self._histograms[spec.name]
        key = self._key(spec, labels, found)
        series = found.get(key)
        if series is None:
            series = found[key] = Histogram(spec.buckets)
        return series

    def add(self, spec: MetricSpec, *labels: str, amount: int = 1) -> None:
        """Raise a counter by ``amount``, at least 0."""
        self.counter(spec, *labels).value += amount

    def set(self, spec: MetricSpec, *labels: str, value: float) -> None:
        """Set a gauge, or a counter that is kept elsewhere."""
        self.counter(spec, *labels).value = value

    def observe(self, spec: MetricSpec, *labels: str, seconds: float) -> None:
        """Count a duration in a histogram."""
        self.histogram(spec, *labels).observe_ms(seconds * _MS_PER_S)

    def clear(self, spec: MetricSpec) -> None:
        """Forget all series of a gauge, before it is set for what there is now."""
        self._values[spec.name].clear()

    def value(self, spec: MetricSpec, *labels: str) -> float:
        """Current value of a counter or gauge; 0 where it was never touched."""
        series = self._values[spec.name].get(labels)
        return 0 if series is None else series.value

    def render(self) -> str:
        """Everything in Prometheus' text format 0.0.4, in the order of the table."""
        return "".join(f"{line}\n" for spec in METRICS for line in self._lines(spec))

    def _key(
        self, spec: MetricSpec, labels: tuple[str, ...], series: Mapping[tuple[str, ...], object]
    ) -> tuple[str, ...]:
        if labels in series:
            return labels
        if len(labels) != len(spec.labels):
            raise ValueError(f"{spec.name} has the labels {spec.labels}, got {labels}")
        key = tuple(
            value if name not in self._known or value in self._known[name] else OTHER
            for name, value in zip(spec.labels, labels, strict=True)
        )
        if key not in series and len(series) >= self._series_max:
            return (OTHER,) * len(labels)
        return key

    def _lines(self, spec: MetricSpec) -> Iterator[str]:
        yield f"# HELP {spec.name} {_escape_help(spec.help)}"
        yield f"# TYPE {spec.name} {spec.type.value}"
        if spec.type is MetricType.HISTOGRAM:
            for labels, histogram in sorted(self._histograms[spec.name].items(), key=_by_labels):
                yield from _histogram_lines(spec, labels, histogram)
        else:
            for labels, series in sorted(self._values[spec.name].items(), key=_by_labels):
                yield f"{spec.name}{_label_text(spec.labels, labels)} {_number(series.value)}"


def _by_labels(item: tuple[tuple[str, ...], object]) -> tuple[str, ...]:
    return item[0]


def _histogram_lines(spec: MetricSpec, labels: tuple[str, ...], histogram: Histogram) -> Iterator[str]:
    names = (*spec.labels, "le")
    total = 0
    for bound, count in zip((*spec.buckets, None), histogram.counts, strict=True):
        total += count
        upper = "+Inf" if bound is None else _number(bound)
        yield f"{spec.name}_bucket{_label_text(names, (*labels, upper))} {total}"
    yield f"{spec.name}_sum{_label_text(spec.labels, labels)} {_number(round(histogram.sum_ms / _MS_PER_S, _SUM_DIGITS))}"
    yield f"{spec.name}_count{_label_text(spec.labels, labels)} {total}"


def _label_text(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escape_label(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escape_label(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
