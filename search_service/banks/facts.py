"""What banks read of the image facts of items: the one place that knows their form."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.v1.image_pb2 import ImageFacts

HASH_BYTES = 32
# "Quality Threshold where we recommend discarding hashes: <=49" and "Distance Threshold to
# consider two hashes to be similar/matching: <=31" (github.com/facebook/ThreatExchange,
# pdq/README.md).
LEAST_QUALITY = 50
MOST_DISTANCE = 31


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of an image: its PDQ hash, empty where it is not known.

    `quality` is None where it is not known, and then the hash is matched.
    """

    hash: bytes = b""
    quality: int | None = None
    blank: bool = False

    @property
    def matched(self) -> bool:
        """Whether there is a hash that says enough to be matched."""
        return bool(self.hash) and (self.quality is None or self.quality >= LEAST_QUALITY)


def seen_in(facts: bytes) -> Seen:
    """Read the image facts of an item; empty ones say nothing."""
    read = ImageFacts.FromString(facts)
    if len(read.pdq_hash) != HASH_BYTES:
        return Seen(blank=read.blank)
    return Seen(read.pdq_hash, read.pdq_quality, read.blank)
