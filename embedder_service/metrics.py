"""What the embedder measures of itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from embedder_service.decode.facts import ImageFacts
from embedder_service.embedder import Embedder
from embedder_service.lanes import Lane
from lookalike.serving.metrics import observe

# From a small picture's decode to a slow batch on a busy CPU.
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)


class DecodeMetrics:
    """Hears the decode pool."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "lookalike_embedder_decode_seconds",
            "Time of one image in a decode process, in seconds",
            buckets=_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "lookalike_embedder_decode_failures",
            "Images that could not be decoded, by reason",
            ["reason"],
            registry=registry,
        )
        self._marked = Counter(
            "lookalike_embedder_marked_images",
            "Images that were decoded although the file is cut short (truncated), or that "
            "show next to nothing (blank)",
            ["mark"],
            registry=registry,
        )
        self._restarts = Counter(
            "lookalike_embedder_decode_restarts",
            "Decode processes that were replaced",
            registry=registry,
        )

    def decoded(self, seconds: float, facts: ImageFacts) -> None:
        """Count one image, and what is odd about it."""
        observe(self._seconds, seconds)
        for mark in ("truncated", "blank"):
            if getattr(facts, mark):
                self._marked.labels(mark).inc()

    def decode_failed(self, cause: str) -> None:
        """Count one failure."""
        self._failures.labels(cause).inc()

    def process_restarted(self) -> None:
        """Count one replaced process."""
        self._restarts.inc()


class EncoderMetrics:
    """The metric families of all encoders; `of` gives one encoder's part."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.images = Counter(
            "lookalike_embedder_images",
            "Images embedded",
            ["model", "lane"],
            registry=registry,
        )
        self.seconds = Histogram(
            "lookalike_embedder_image_seconds",
            "Time of one image from arrival to vector, in seconds",
            ["model", "lane"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.rejections = Counter(
            "lookalike_embedder_rejections",
            "Images refused for overload",
            ["model", "lane"],
            registry=registry,
        )
        self.batch_images = Histogram(
            "lookalike_embedder_batch_images",
            "Images in one forward pass",
            ["model"],
            buckets=_IMAGES,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "lookalike_embedder_batch_seconds",
            "Time of one forward pass, in seconds",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.overtaken = Counter(
            "lookalike_embedder_overtaken_images",
            "Images embedded for callers whose deadlines passed meanwhile",
            ["model"],
            registry=registry,
        )
        self.failures = Counter(
            "lookalike_embedder_runner_failures",
            "Runners that failed and were loaded again",
            ["model"],
            registry=registry,
        )
        self.text_seconds = Histogram(
            "lookalike_embedder_text_seconds",
            "Time of one call of texts from arrival to vectors, in seconds",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.texts = Counter(
            "lookalike_embedder_texts",
            "Texts embedded",
            ["model"],
            registry=registry,
        )
        self._inside = Gauge(
            "lookalike_embedder_queue_images",
            "Images that wait or are worked on, by lane",
            ["model", "lane"],
            registry=registry,
        )

    def of(self, model: str, on_health: Callable[[bool], None]) -> ModelMetrics:
        """Return the observer of one model."""
        return ModelMetrics(self, model, on_health)

    def watch(self, embedder: Embedder) -> None:
        """Read the queues whenever the metrics are scraped."""
        for encoder in embedder.encoders:
            for lane in Lane:
                gauge = self._inside.labels(encoder.definition.name, lane.value)
                gauge.set_function(partial(encoder.inside, lane))


class ModelMetrics:
    """Hears one encoder and its batcher."""

    def __init__(
        self, families: EncoderMetrics, model: str, on_health: Callable[[bool], None]
    ) -> None:
        self._families = families
        self._model = model
        self._on_health = on_health

    def batch_done(self, images: int, seconds: float) -> None:
        """Count one batch."""
        self._families.batch_images.labels(self._model).observe(images)
        self._families.batch_seconds.labels(self._model).observe(seconds)

    def overtaken(self, images: int) -> None:
        """Count work that came too late."""
        self._families.overtaken.labels(self._model).inc(images)

    def runner_failed(self) -> None:
        """Count one failure."""
        self._families.failures.labels(self._model).inc()

    def healthy_changed(self, healthy: bool) -> None:
        """Pass the news on to the health service."""
        self._on_health(healthy)

    def texts_embedded(self, texts: int, seconds: float) -> None:
        """Count the texts of one call."""
        self._families.texts.labels(self._model).inc(texts)
        observe(self._families.text_seconds.labels(self._model), seconds)

    def rejected(self, lane: Lane) -> None:
        """Count one refusal."""
        self._families.rejections.labels(self._model, lane.value).inc()

    def embedded(self, lane: Lane, seconds: float) -> None:
        """Count one answer."""
        self._families.images.labels(self._model, lane.value).inc()
        observe(self._families.seconds.labels(self._model, lane.value), seconds)
