"""Counters and histograms of the broker, listed in ``docs/operations.md``. No label names a person, device or kiosk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.registry import Collector

from kiosk import __version__
from kiosk.clock import Clock, SystemClock
from kiosk.errors import BY_CODE, KioskError, PhoneSignInError, Refused, Unavailable

OK = "ok"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Metrics of one broker. Also used unserved, as a default that nobody reads."""

    def __init__(self, clock: Clock | None = None) -> None:
        # Otherwise each series gets a second one with the time of its creation, which nobody needs here. The library
        # has only this switch for the whole process.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._clock = clock or SystemClock()
        self._registry = CollectorRegistry()
        build = Gauge("kiosk_broker_info", "The running version.", ["version"], registry=self._registry)
        build.labels(__version__).set(1)
        self.visits = Counter("kiosk_broker_visits", "Visits that started.", registry=self._registry)
        self._begun = Counter("kiosk_broker_sign_ins_begun", "Sign-ins that kiosks began.", registry=self._registry)
        self._ended = Counter(
            "kiosk_broker_sign_ins_ended", "Sign-ins that ended: ok, or the code of the error.", ["outcome"],
            registry=self._registry,
        )  # fmt: skip
        self._releases = Counter(
            "kiosk_broker_releases", "Releases by outcome: ok, or the code of the refusal.", ["outcome"],
            registry=self._registry,
        )  # fmt: skip
        self._refusals = Counter(
            "kiosk_broker_refusals", "Requests that were refused or failed, by route and code.", ["route", "code"],
            registry=self._registry,
        )  # fmt: skip
        self._stages = Histogram(
            "kiosk_broker_release_stage_seconds", "Where the time of a release goes.", ["stage"], buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._requests = Histogram(
            "kiosk_broker_request_seconds", "Requests from kiosks, by route and status.", ["route", "status"],
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._upstream = Histogram(
            "kiosk_broker_upstream_seconds", "Calls of other services.", ["upstream", "call"], buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._answers = Counter(
            "kiosk_broker_upstream_answers", "What other services answered: a status, ok, or what went wrong.",
            ["upstream", "answer"], registry=self._registry,
        )  # fmt: skip
        self._lock = Histogram(
            "kiosk_broker_record_lock_seconds", "Waits for the lock on the head of the record.", buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._refused = Gauge(
            "kiosk_broker_record_refused", "1 while nothing is released because the record was rolled back or forged.",
            registry=self._registry,
        )  # fmt: skip
        # Prometheus sees an increase only in a series that was there before: so each outcome starts at zero.
        for kind in BY_CODE.values():
            if issubclass(kind, (Refused, Unavailable)):
                self._releases.labels(kind.code)
            if issubclass(kind, PhoneSignInError):
                self._ended.labels(kind.code)
        self._releases.labels(OK)
        self._ended.labels(OK)

    def expect(self, route: str) -> None:
        """Start the failures at this route at zero, so that Prometheus sees the first one as an increase."""
        for kind in BY_CODE.values():
            if kind is KioskError or issubclass(kind, Unavailable):
                self._refusals.labels(route, kind.code)

    def watch(self, collector: Collector) -> None:
        """Add a collector, which is called whenever the metrics are read."""
        self._registry.register(collector)

    def watch_record(self, refused: Callable[[], bool]) -> None:
        """Tell whether the record is refused, whenever the metrics are read."""
        self._refused.set_function(refused)

    def locked(self, seconds: float) -> None:
        """Record how long a transaction waited for the lock on the head of the record."""
        self._lock.observe(seconds)

    def text(self) -> bytes:
        """Return all metrics as text for Prometheus. Blocks: collectors read files and the database."""
        return generate_latest(self._registry)

    def sign_in_begun(self) -> None:
        """Count a sign-in that a kiosk began."""
        self._begun.inc()

    def sign_in_ended(self, outcome: str) -> None:
        """Count a sign-in that was confirmed or ended otherwise."""
        self._ended.labels(outcome).inc()

    def release(self, outcome: str) -> None:
        """Count a release that ended."""
        self._releases.labels(outcome).inc()

    def refusal(self, route: str, code: str) -> None:
        """Count a request that was refused or failed, at any route and before or after a release began."""
        self._refusals.labels(route, code).inc()

    def request(self, route: str, status: int, seconds: float) -> None:
        """Record the duration of a request."""
        self._requests.labels(route, str(status)).observe(seconds)

    def answer(self, upstream: str, answer: str) -> None:
        """Count what another service answered, or why there was no answer."""
        self._answers.labels(upstream, answer).inc()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the duration of one stage of a release."""
        begun = self._clock.now()
        try:
            yield
        finally:
            self._stages.labels(name).observe(self._clock.now() - begun)

    @contextlib.contextmanager
    def call(self, upstream: str, call: str) -> Iterator[None]:
        """Measure the duration of one call to another service, until its response is complete."""
        begun = self._clock.now()
        try:
            yield
        finally:
            self._upstream.labels(upstream, call).observe(self._clock.now() - begun)
