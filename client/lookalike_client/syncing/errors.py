"""Why a folder is not synced."""

from __future__ import annotations


class SyncRefused(Exception):
    """Nothing was changed; the text says what to do."""
