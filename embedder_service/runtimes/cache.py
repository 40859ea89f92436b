"""Converted models on disk, by fingerprint."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder_service.models.definition import ModelDefinition, ModelError

if TYPE_CHECKING:
    import openvino

_log = logging.getLogger(__name__)

# Counts up when conversion changes what it writes.
_CONVERSION_VERSION = 1
_MODEL_FILE = "model.xml"
_FILES = (_MODEL_FILE, "model.bin")
# As in `embedder_service.runtimes.conversion`, which imports torch.
_REFUSED = 3
_MANIFEST = "manifest.json"

# The converter sees the packages that we see, however they were found, but for OpenVINO's
# telemetry (see `embedder_service.runtimes.openvino`). OpenVINO changes the case of names by
# the locale: in a Turkish one of single bytes it writes a model that cannot be read.
_CONVERTER = (
    "import json, locale, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "locale.setlocale(locale.LC_ALL, 'C'); "
    "sys.modules['openvino_telemetry'] = None; "
    "from embedder_service.runtimes.conversion import main; raise SystemExit(main(sys.argv[2:]))"
)


def read_or_convert(
    core: openvino.Core, definition: ModelDefinition, cache_dir: Path | None
) -> Any:
    """Return the `openvino.Model`, from the cache or converted and stored there.

    A folder whose files are not the ones that were stored is replaced.

    Raises:
        ModelError: it cannot be converted.
    """
    if cache_dir is not None:
        folder = cache_dir / f"openvino-{_key(definition)}"
        if _is_intact(folder):
            return core.read_model(folder / _MODEL_FILE)
        try:
            return _convert_into(core, definition, folder)
        except OSError as error:
            # A cache that cannot be written costs seconds at each start, no more.
            _log.warning("cannot cache the conversion", extra={"cause": error.strerror})
    with tempfile.TemporaryDirectory(prefix="lookalike-") as temporary:
        return _convert(core, definition, Path(temporary))


def _convert_into(core: openvino.Core, definition: ModelDefinition, folder: Path) -> Any:
    """Convert beside `folder`, seal with a manifest, and rename: no reader sees a part."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(folder.parent) as temporary:
        model = _convert(core, definition, temporary)
        hashes = {name: _sha256(temporary / name) for name in _FILES}
        (temporary / _MANIFEST).write_text(json.dumps(hashes))
        if folder.exists():  # damaged, else it would have been read
            shutil.rmtree(folder)
        temporary.rename(folder)
        return model


@contextlib.contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    temporary = Path(tempfile.mkdtemp(prefix=".openvino-", dir=parent))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _convert(core: openvino.Core, definition: ModelDefinition, folder: Path) -> Any:
    """Convert in a process of its own; the read model keeps its files mapped."""
    file = folder / _MODEL_FILE
    work = [definition.spec_text, definition.precision, str(file)]
    result = subprocess.run(
        [sys.executable, "-c", _CONVERTER, json.dumps(sys.path), *work],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no message"]
        if result.returncode == _REFUSED:
            raise ModelError(lines[-1])
        raise ModelError(f"{definition.name} cannot be converted for OpenVINO: {lines[-1]}")
    return core.read_model(file)


def _key(definition: ModelDefinition) -> str:
    import openvino

    parts = (definition.fingerprint, openvino.get_version(), str(_CONVERSION_VERSION))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _is_intact(folder: Path) -> bool:
    """Tell whether every file has the hash that it was stored with."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        hashes = {name: _sha256(folder / name) for name in _FILES}
    except (OSError, ValueError):
        return False
    return bool(manifest == hashes)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
