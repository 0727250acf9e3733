"""Counting while requests run, rendering only when somebody scrapes.

Counters are plain integers in plain dicts: about 0.04 µs an increment against 0.7 µs of a client library. All updates
come from the event loop's thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping

from freehold.telemetry.metric_table import METRICS, MetricSpec, MetricType

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"

_SERIES_MAX = 2_000
_MICROS = 1_000_000


class Histogram:
    """Counts per bucket and the sum in microseconds, all integers."""

    __slots__ = ("bounds", "counts", "sum_us")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_us = 0

    def observe(self, seconds: float) -> None:
        """Count one value; negative ones, which only a jumping clock makes, count as 0."""
        seconds = max(seconds, 0.0)
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum_us += round(seconds * _MICROS)


class Metrics:
    """All metrics of one process.

    The number of series is bounded: a label that has known values (routes, deployments and zones of the
    configuration) shows every other value as ``other``, and a metric that reached 2,000 series shows further ones so.
    """

    def __init__(self, known: Mapping[str, Collection[str]], *, series_max: int = _SERIES_MAX) -> None:
        """Start at zero.

        Args:
            known: Allowed values by label name; labels not named here are bounded by ``series_max`` alone.
            series_max: Most series of one metric.
        """
        self._series_max = series_max
        self._known: dict[str, frozenset[str]] = {}
        self._values: dict[str, dict[tuple[str, ...], int | float]] = {
            spec.name: {} for spec in METRICS if spec.type is not MetricType.HISTOGRAM
        }
        self._histograms: dict[str, dict[tuple[str, ...], Histogram]] = {
            spec.name: {} for spec in METRICS if spec.type is MetricType.HISTOGRAM
        }
        self.know(known)

    def know(self, known: Mapping[str, Collection[str]]) -> None:
        """Take over the names of a new configuration. Series of names that are gone stay, as counters must."""
        self._known = {label: frozenset(values) | {""} for label, values in known.items()}

    def add(self, spec: MetricSpec, *labels: str, amount: int = 1) -> None:
        """Raise a counter by ``amount``, at least 0."""
        series = self._values[spec.name]
        key = self._key(spec, labels, series)
        series[key] = series.get(key, 0) + amount

    def set(self, spec: MetricSpec, *labels: str, value: float) -> None:
        """Set a gauge."""
        series = self._values[spec.name]
        series[self._key(spec, labels, series)] = value

    def observe(self, spec: MetricSpec, *labels: str, seconds: float) -> None:
        """Count a duration in a histogram."""
        series = self._histograms[spec.name]
        key = self._key(spec, labels, series)
        histogram = series.get(key)
        if histogram is None:
            histogram = series[key] = Histogram(spec.buckets)
        histogram.observe(seconds)

    def value(self, spec: MetricSpec, *labels: str) -> float:
        """Current value of a counter or gauge; 0 where it was never touched."""
        return self._values[spec.name].get(labels, 0)

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
            for labels, histogram in sorted(self._histograms[spec.name].items()):
                yield from _histogram_lines(spec, labels, histogram)
        else:
            for labels, value in sorted(self._values[spec.name].items()):
                yield f"{spec.name}{_label_text(spec.labels, labels)} {_number(value)}"


def _histogram_lines(spec: MetricSpec, labels: tuple[str, ...], histogram: Histogram) -> Iterator[str]:
    names = (*spec.labels, "le")
    total = 0
    for bound, count in zip((*spec.buckets, None), histogram.counts, strict=True):
        total += count
        upper = "+Inf" if bound is None else _number(bound)
        yield f"{spec.name}_bucket{_label_text(names, (*labels, upper))} {total}"
    yield f"{spec.name}_sum{_label_text(spec.labels, labels)} {_number(histogram.sum_us / _MICROS)}"
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
