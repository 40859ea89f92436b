"""Items as they are read: one, a page of a list, the values of a field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from search_service.domain.arrays import F32
from search_service.domain.conditions import FieldPath, Scalar
from search_service.domain.metadata import Metadata, decode_metadata


@dataclass(frozen=True, slots=True)
class Fields:
    """Which parts of an item are read besides id, version and time."""

    metadata: bool = False
    facts: bool = False
    thumbnail: bool = False
    vector: bool = False
    # Of the metadata only what stands under these; all where there are none.
    metadata_paths: Sequence[FieldPath] = ()


NO_FIELDS = Fields()


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as it is stored; parts that were not asked for are empty.

    The metadata is there as JSON text, as which most of it is passed on. `version` is
    the newer of those of vector and metadata.
    """

    id: str
    version: int
    update_time_us: int
    metadata_json: bytes | None = None
    facts: bytes = b""
    thumbnail: bytes = b""
    vector: F32 | None = None
    near_duplicate_of: str = ""
    vector_version: int = 0
    # Its vectors besides `vector`, in their order; there where that is.
    further: tuple[F32, ...] = ()
    # Its vectors by name; there where that is.
    named: Mapping[str, tuple[F32, ...]] = field(default_factory=dict)

    @property
    def more_vector_bytes(self) -> int:
        """What its vectors take besides `vector`."""
        return sum(each.nbytes for each in chain(self.further, *self.named.values()))

    @property
    def metadata(self) -> Metadata | None:
        """The JSON object; parsed each time."""
        return None if self.metadata_json is None else decode_metadata(self.metadata_json)


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by a metadata field; items without a value come last either way."""

    field: FieldPath
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of an ordered list ended: after `id`, which has `value` (or none)."""

    value: Scalar | None
    id: str


@dataclass(frozen=True, slots=True)
class OrderedItem:
    """An item of an ordered list, with the place where it stands."""

    place: Place
    item: StoredItem


@dataclass(frozen=True, slots=True)
class Facets:
    """Values of a field with how many items hold each, the most frequent first.

    Of `items`, `missing` hold no value and `other` none of those listed; there
    are `values` different ones in all.
    """

    counts: Sequence[tuple[Scalar, int]]
    items: int
    missing: int
    other: int
    values: int
