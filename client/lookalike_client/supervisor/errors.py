"""Why a system does not come up."""

from __future__ import annotations

from lookalike.wire.errors import LookalikeError, Reason


class StartError(LookalikeError):
    """The system cannot be started, or one of its parts does not stay up."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=Reason.NOT_READY)
