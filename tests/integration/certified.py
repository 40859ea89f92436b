"""Certificates for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from lookalike.wire.channel import TlsFiles


class Certified:
    """An authority, and certificates of it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(str(folder / "ca.pem"))

    def issue(self, name: str, *, valid_from: timedelta = timedelta(days=-1)) -> TlsFiles:
        """Make a certificate for a day that begins `valid_from` now."""
        begin = datetime.now(UTC) + valid_from
        made = self._ca.issue_cert(
            "localhost", "127.0.0.1", not_before=begin, not_after=begin + timedelta(days=2)
        )
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        # Not at once, as a tool does that knows of no readers.
        chain.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        made.private_key_pem.write_to_path(str(key))
        return TlsFiles(ca=self.folder / "ca.pem", certificate=chain, key=key)
