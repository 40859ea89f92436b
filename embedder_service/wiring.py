"""Settings to parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry

from embedder_service import cores
from embedder_service.admission import AdmissionOptions
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.pool import DecodePool, PoolOptions
from embedder_service.decode.process import ProcessOptions
from embedder_service.embedder import Embedder
from embedder_service.encoder import Encoder
from embedder_service.metrics import DecodeMetrics, EncoderMetrics
from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelDefinition
from embedder_service.runtimes.choice import load_runtime, memory_used_bytes, resolve_device
from embedder_service.runtimes.protocol import Runtime, TextRuntime
from embedder_service.settings import Settings
from embedder_service.text_line import TextLine, TextObserver
from embedder_service.trials import BatcherOptions
from lookalike.serving.server import ServerOptions
from lookalike.wire.channel import MAX_MESSAGE_BYTES

_MIB = 1 << 20


def build_embedder(
    settings: Settings, registry: CollectorRegistry, on_health: Callable[[bool], None]
) -> Embedder:
    """Return the embedder of `settings`, not yet started.

    Raises:
        ModelError: a model cannot be served.
    """
    pool = DecodePool(pool_options(settings), DecodeMetrics(registry))
    metrics = EncoderMetrics(registry)
    device = resolve_device(settings.device)
    encoders = []
    for text in settings.models:
        definition = define(spec.parse(text), settings.precision)
        observer = metrics.of(definition.name, on_health)
        encoders.append(
            Encoder(
                definition,
                _loader(definition, device, settings),
                pool,
                image_limits(settings),
                BatcherOptions(
                    input_size_px=definition.preprocess.size_px,
                    max_batch_images=settings.max_batch_images,
                    target_batch_ms=settings.target_batch_ms,
                    stuck_after_s=settings.stuck_after_s,
                    memory_limit_bytes=settings.model_memory_mib * _MIB,
                ),
                AdmissionOptions(settings.max_queued_images, settings.max_bytes_in_flight),
                observer,
                partial(memory_used_bytes, device),
                _text_line(definition, device, settings, observer),
            )
        )
    embedder = Embedder(pool, encoders)
    metrics.watch(embedder)
    return embedder


def _text_line(
    definition: ModelDefinition, device: str, settings: Settings, observer: TextObserver
) -> TextLine | None:
    tower = definition.text
    if tower is None:
        return None

    def load() -> TextRuntime:
        # Imports torch, which a server of pictures with a cached conversion starts without.
        from embedder_service.runtimes.torch_texts import TorchTexts

        return TorchTexts(tower, definition, device)

    return TextLine(load, settings.max_queued_images, observer)


def image_limits(settings: Settings) -> ImageLimits:
    """Return what an image may be."""
    return ImageLimits(
        settings.max_image_bytes,
        settings.max_image_pixels,
        settings.max_aspect_ratio,
        settings.least_rows_share,
        settings.max_scaled_pixels,
    )


def pool_options(settings: Settings) -> PoolOptions:
    """Return what the decode processes may use."""
    processes = settings.decode_processes or cores.usable()
    # Half of the budget is divided among the processes for good, so that usual
    # pictures need no leave; large ones share the other half.
    free_pixels = min(settings.max_image_pixels, settings.max_pixels_in_flight // (2 * processes))
    process = ProcessOptions(
        limits=image_limits(settings),
        memory_bytes=settings.decode_memory_mib * _MIB,
        timeout_ms=settings.decode_timeout_ms,
        free_pixels=free_pixels,
        nice=settings.decode_nice,
    )
    return PoolOptions(
        processes=processes,
        max_pixels_in_flight=settings.max_pixels_in_flight,
        thumbnail_side_px=settings.thumbnail_side_px,
        process=process,
    )


def server_options(settings: Settings) -> ServerOptions:
    """Return how to serve."""
    return ServerOptions(
        host=settings.host,
        port=settings.port,
        max_concurrent_rpcs=settings.max_concurrent_rpcs,
        # A file of the largest size that is allowed, beside what names it.
        max_message_bytes=max(MAX_MESSAGE_BYTES, settings.max_image_bytes + 4 * _MIB),
        tls=settings.tls,
        keys_file=settings.keys_file,
        reflection=settings.reflection,
        grace_s=settings.grace_s,
        max_connection_age_s=settings.max_connection_age_s,
        health_host=settings.health_host,
        health_port=settings.health_port,
    )


def _loader(definition: ModelDefinition, device: str, settings: Settings) -> Callable[[], Runtime]:
    def load() -> Runtime:
        return load_runtime(
            definition,
            device,
            threads=settings.cpu_threads,
            max_batch_images=settings.max_batch_images,
            cache_dir=settings.cache_dir,
        )

    return load
