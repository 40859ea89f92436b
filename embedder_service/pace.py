"""How fast images leave: what a queue's length is worth in time."""

from __future__ import annotations

import time

# A new interval counts for this share: about the last fifty answers.
_SMOOTHING = 0.02
# An answer that shows the pace to be shorter counts for more: while the pace is
# thought to be long few come in, and so there are few answers to learn from.
_RECOVERY = 0.1
# A pause this many times the pace is no sign of slowness but of an empty queue.
_LONGEST = 20.0


class Pace:
    """Seconds between answers while there is more to do than can be done at once."""

    def __init__(self) -> None:
        self.seconds_per_image = 0.0
        self._last_s: float | None = None

    def seed(self, seconds_per_image: float) -> None:
        """Start from what was measured before the first image."""
        self.seconds_per_image = seconds_per_image

    def answered(self, *, busy: bool, took_s: float, images: int) -> None:
        """Note an answer that came `took_s` after its image did, the last of `images` in its lane.

        `busy` is whether enough others are inside to use all cores. Otherwise the
        interval says nothing, but `took_s` for `images` bounds the pace: without
        that, a pace which one stall has made so long that images come in one at a
        time would stay so for good.
        """
        now_s = time.monotonic()
        if busy and self._last_s is not None:
            interval_s = min(now_s - self._last_s, _LONGEST * self.seconds_per_image)
            self.seconds_per_image += _SMOOTHING * (interval_s - self.seconds_per_image)
        elif not busy:
            shorter_s = min(took_s / images, self.seconds_per_image)
            self.seconds_per_image += _RECOVERY * (shorter_s - self.seconds_per_image)
        self._last_s = now_s if busy else None
