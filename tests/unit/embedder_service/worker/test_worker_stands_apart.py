"""The worker can be installed without what the embedder needs."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
import embedder_service.worker.__main__
parts = [name for name in sys.modules if name.startswith("embedder_service.")]
heavy = [name for name in ("torch", "openvino", "PIL", "numpy") if name in sys.modules]
print(*sorted(name for name in parts if not name.startswith("embedder_service.worker")), *heavy)
"""


def test_the_worker_loads_nothing_of_the_embedder() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True
    )
    assert loaded.stdout.split() == []
