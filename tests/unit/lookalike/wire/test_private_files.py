"""What is made is nothing for other users of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lookalike.wire.private_files import keep_from_others


@pytest.mark.parametrize(("before", "mode"), [(0o022, 0o640), (0o000, 0o640), (0o077, 0o600)])
def test_others_get_nothing(before: int, mode: int, tmp_path: Path) -> None:
    kept = os.umask(before)
    try:
        keep_from_others()
        (tmp_path / "made").write_bytes(b"")
    finally:
        os.umask(kept)
    assert (tmp_path / "made").stat().st_mode & 0o777 == mode
