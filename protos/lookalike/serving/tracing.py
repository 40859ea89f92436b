"""Has a process trace, as its settings say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lookalike.serving.settings.reading import SettingsInvalid
from lookalike.serving.settings.shared import ProcessSettings
from lookalike.wire.errors import InvalidField
from lookalike.wire.traces import otlp, spans


@contextmanager
def traced(process: str, settings: ProcessSettings) -> Iterator[None]:
    """Trace in this block, where `--traces-to` names a collector; what is left is sent after.

    Raises:
        SettingsInvalid: the collector's address cannot be used, or the extra is missing.
    """
    if settings.traces_to is None:
        yield
        return
    try:
        tracer = otlp.connect(process, settings.traces_to, settings.traces_share)
    except InvalidField as error:
        raise SettingsInvalid(f"--traces-to: {error.message}") from error
    spans.install(tracer)
    try:
        yield
    finally:
        spans.install(None)
        tracer.close()
