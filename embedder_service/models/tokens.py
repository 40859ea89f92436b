"""Texts to tokens, by the tokenizer that open_clip ships."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

# The library keeps every word that it has seen; a word takes some 200 bytes.
_MOST_WORDS = 100_000


class Tokenizer:
    """int64 [B, L] of B texts: with a start, an end, and zeros; what is too long is cut off."""

    def __init__(self, simple: Any, most_words: int = _MOST_WORDS) -> None:
        """`simple` is open_clip's `SimpleTokenizer`."""
        self._simple = simple
        self._most_words = most_words
        self._first = dict(simple.cache)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Return the tokens of `texts`, in order."""
        tokens: Tensor = self._simple(list(texts))
        if len(self._simple.cache) > self._most_words:
            self._simple.cache = dict(self._first)
        return tokens
