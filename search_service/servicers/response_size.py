"""Holds answers below the largest message, which gRPC would refuse in words of its own."""

from __future__ import annotations

from google.protobuf.message import Message

from lookalike.wire.channel import MAX_MESSAGE_BYTES
from lookalike.wire.errors import LimitExceeded

# The rest is for what stands around the parts: a request's id, a page token.
MAX_RESPONSE_BYTES = MAX_MESSAGE_BYTES - (64 << 10)
# Tag and length of a part.
_AROUND_BYTES = 6


class ResponseSize:
    """Adds up the parts of an answer."""

    def __init__(self, field: str) -> None:
        """`field` of the request is to blame for an answer that is too large."""
        self._field = field
        self._bytes = 0

    def fits(self, part: Message) -> bool:
        """Take a part in; False, and nothing is taken, where it is one too many."""
        size = self._bytes + part.ByteSize() + _AROUND_BYTES
        if size > MAX_RESPONSE_BYTES:
            return False
        self._bytes = size
        return True

    def add(self, part: Message) -> None:
        """Take a part in.

        Raises:
            LimitExceeded: it is one too many.
        """
        if not self.fits(part):
            raise LimitExceeded(
                self._field,
                f"the answer is larger than {MAX_MESSAGE_BYTES >> 20} MiB: "
                "ask for fewer items or fields",
            )
