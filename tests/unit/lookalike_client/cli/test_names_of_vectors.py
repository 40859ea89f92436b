"""What `--by` and `--vector` take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.lookalike_client.cli.running import ran

NOBODY = ("--address", "127.0.0.1:1")


def test_a_name_that_comes_twice_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "cup.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    by = ran(capsys, *NOBODY, "search", str(picture), "-c", "s", "--by", "a=1", "--by", "a=2")
    made = ran(capsys, *NOBODY, "collections", "create", "s", "--vector", "a=1", "--vector", "a=2")
    for told in (by, made):
        assert told.code != 0
        assert "a name comes twice" in told.err
