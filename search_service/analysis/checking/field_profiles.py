"""What stands in the metadata fields of a collection, counted in one pass."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from search_service.domain.conditions import FieldPath
from search_service.domain.metadata import JsonValue

# Bounds of memory: of more fields or values the first are looked at.
_MOST_FIELDS = 2_000
_MOST_VALUES = 10_000
_LONGEST_VALUE = 200
_MOST_EXAMPLES = 5

# Whole numbers are exact in float64 up to here.
EXACT = 2**53
_TIME = re.compile(
    r"\d{4}[-:/]\d\d[-:/]\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?"
    r"(?P<offset>[Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_WHOLE = re.compile(r"[+-]?\d{16,300}", re.ASCII)
_PLAIN_KEY = re.compile(r"[^.`]+")


class Sort(StrEnum):
    """The kinds of values that conditions tell apart; lists count by their elements."""

    TEXT = "text"
    NUMBER = "number"
    TRUTH = "true or false"
    OBJECT = "object"


@dataclass(slots=True)
class Examples:
    """A number of values, and the ids of some of the items that have them."""

    count: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, id: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.ids) < _MOST_EXAMPLES and id not in self.ids:
            self.ids.append(id)


@dataclass(slots=True)
class FieldProfile:
    """What one field holds, in values but for `items`.

    `items` have it with another value than null; `blank_texts` are empty or of spaces.
    `texts` are the distinct short ones with their numbers, whole while `texts_whole`.
    """

    path: FieldPath
    items: int = 0
    sorts: dict[Sort, Examples] = field(default_factory=dict)
    blank_texts: Examples = field(default_factory=Examples)
    times: int = 0
    times_without_offset: Examples = field(default_factory=Examples)
    long_numbers: Examples = field(default_factory=Examples)
    rounded_numbers: Examples = field(default_factory=Examples)
    texts: Counter[str] = field(default_factory=Counter)
    texts_whole: bool = True
    long_texts: dict[str, None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The field as filters write it."""
        return path_text(self.path)

    def count(self, value: JsonValue, id: str) -> None:
        """Count one value, which is no list and not null."""
        sort = _sort_of(value)
        self.sorts.setdefault(sort, Examples()).add(id)
        if isinstance(value, str):
            self._count_text(value, id)
        elif sort is Sort.NUMBER and abs(float(value)) >= EXACT:  # type: ignore[arg-type]  # a number
            self.rounded_numbers.add(id)

    def _count_text(self, text: str, id: str) -> None:
        if not text.strip():
            self.blank_texts.add(id)
        match = _TIME.fullmatch(text.strip())
        if match is not None:
            self.times += 1
            if match["offset"] is None:
                self.times_without_offset.add(id)
        if _WHOLE.fullmatch(text) and abs(int(text)) > EXACT:
            self.long_numbers.add(id)
            if len(self.long_texts) < _MOST_VALUES:
                self.long_texts[text] = None
        if len(text) > _LONGEST_VALUE or (
            len(self.texts) >= _MOST_VALUES and text not in self.texts
        ):
            self.texts_whole = False
            return
        self.texts[text] += 1


def profile_fields(ids: Sequence[str], metadata: Sequence[bytes]) -> dict[FieldPath, FieldProfile]:
    """Count what each field holds; paths in the order in which they come."""
    profiles: dict[FieldPath, FieldProfile] = {}
    for id, encoded in zip(ids, metadata, strict=True):
        seen: set[FieldPath] = set()
        for path, value in _leaves(orjson.loads(encoded), ()):
            profile = profiles.get(path)
            if profile is None:
                if len(profiles) >= _MOST_FIELDS:
                    continue
                profile = profiles[path] = FieldProfile(path)
            if path not in seen:
                seen.add(path)
                profile.items += 1
            profile.count(value, id)
    return profiles


def path_text(path: Sequence[str]) -> str:
    """Return a path as filters write it: keys with dots or backticks between backticks."""
    return ".".join(
        key if _PLAIN_KEY.fullmatch(key) else "`" + key.replace("`", "``") + "`" for key in path
    )


def _leaves(value: JsonValue, path: FieldPath) -> Iterator[tuple[FieldPath, JsonValue]]:
    """Yield each value with its path: objects, too, and the elements of lists."""
    if value is None:
        return
    if isinstance(value, dict):
        if path:
            yield path, value
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    else:
        yield path, value


def _sort_of(value: JsonValue) -> Sort:
    if isinstance(value, bool):
        return Sort.TRUTH
    if isinstance(value, str):
        return Sort.TEXT
    return Sort.NUMBER if isinstance(value, int | float) else Sort.OBJECT
