"""The documented limits of the contract, and the checks that hold them.

The numbers stand in the comments of `protos/lookalike/v1/*.proto`; a value at a
limit passes, one past it fails with the field's path.
"""

from __future__ import annotations

import re

from lookalike.wire.errors import InvalidField, LimitExceeded

MAX_QUERIES = 256
MAX_LIMIT = 10_000
DEFAULT_LIMIT = 10
MIN_EXPANSION = 16
MAX_EXPANSION_SEARCH = 4_000
MAX_EXPANSION_ADD = 2_000
MIN_CONNECTIVITY = 4
MAX_CONNECTIVITY = 128
# Hits of one answer: with ids of 512 bytes they are 53 MB, below the largest message.
MAX_HITS = 100_000
MAX_EXCLUDE_IDS = 10_000
MAX_EXAMPLES = 64
MAX_HITS_PER_GROUP = 100
MAX_GROUPED_HITS = 10_000
MAX_METADATA_FIELDS = 64
MAX_BOOSTS = 8
MAX_WEIGHT = 10.0
MAX_EXAMPLE_WEIGHT = 1_000.0
# As the embedder has it: some 300 are as much as a text tower reads.
MAX_TEXT_CHARACTERS = 1_000
MAX_CANDIDATES = 10_000
# Of hits with candidates, which a choice of hits that differ compares: 0.3 s at 512
# dimensions on one core.
MAX_DIVERSE_COMPARISONS = 1_000_000
MAX_FACETS = 1_000
DEFAULT_FACETS = 10
MAX_ITEMS_PER_MESSAGE = 1_000
MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 100
MIN_DIMENSION = 2
MAX_DIMENSION = 4_096
MAX_ID_BYTES = 512
MAX_METADATA_BYTES = 16 * 1024
# Of one item: more photographs of one thing than anyone shows, and few enough that the
# items of a page are found among their vectors.
MAX_ITEM_VECTORS = 64
# Names of vectors in a collection, each with a graph of its own.
MAX_NAMED_VECTORS = 8
MAX_VECTOR_WEIGHT = 1_000.0
MAX_METADATA_LEVELS = 8
# A 256-pixel WebP is 5 to 20 KB; this leaves room and bounds a row.
MAX_THUMBNAIL_BYTES = 256 * 1024
# Of thumbnails that a collection has made: smaller ones show nothing, larger ones are no
# thumbnails (`lookalike.v1.ThumbnailSettings`).
MIN_THUMBNAIL_SIDE_PX = 32
MAX_THUMBNAIL_SIDE_PX = 256
# Image facts without the thumbnail: a dozen numbers and digests take 0.2 KB, the grey
# picture of 64 by 64 px at most 3.
MAX_FACTS_BYTES = 4 * 1024
MAX_RECALL_SAMPLE = 10_000
DEFAULT_RECALL_SAMPLE = 200
MAX_RECALL_LIMIT = 1_000
MAX_RECALL_EXPANSIONS = 16
MAX_NAME_CHARACTERS = 64
# Of a collection on a cluster: each partition is a process, a log and a disk's share.
MAX_PARTITIONS = 256
MAX_REPLICAS = 8
MAX_EVIDENCE = 100
DEFAULT_EVIDENCE = 5
MAX_HASHES_PER_MESSAGE = 10_000
MAX_HASH_TEXT_BYTES = 512

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_UID = re.compile(r"[0-9a-f]{32}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_count(field: str, count: int, most: int, *, least: int = 1) -> None:
    """Check the number of elements of a repeated field.

    Raises:
        InvalidField: fewer than `least`.
        LimitExceeded: more than `most`.
    """
    if count > most:
        raise LimitExceeded(field, f"at most {most:,} are taken at once, got {count:,}")
    if count < least:
        raise InvalidField(field, f"at least {least:,} is needed, got {count:,}")


def check_range(field: str, value: int, least: int, most: int) -> int:
    """Return `value` if it lies in [least, most].

    Raises:
        InvalidField: below.
        LimitExceeded: above.
    """
    if value > most:
        raise LimitExceeded(field, f"must be {least:,} to {most:,}, got {value:,}")
    if value < least:
        raise InvalidField(field, f"must be {least:,} to {most:,}, got {value:,}")
    return value


def page_size(value: int) -> int:
    """Return the page size that `value` asks for; 0 is the default."""
    return check_range("page_size", value or DEFAULT_PAGE_SIZE, 1, MAX_PAGE_SIZE)


def check_id(item_id: str, field: str) -> None:
    """Check the form of an item's id: 1 to 512 bytes, no control characters.

    Raises:
        InvalidField: empty, or with a control character.
        LimitExceeded: too long.
    """
    if not item_id:
        raise InvalidField(field, "an item needs an id of 1 to 512 bytes")
    # A character is at most 4 bytes: short ids need no encoding to be measured.
    if len(item_id) * 4 > MAX_ID_BYTES and len(item_id.encode()) > MAX_ID_BYTES:
        raise LimitExceeded(field, f"an id holds at most {MAX_ID_BYTES} bytes of UTF-8")
    found = _CONTROL.search(item_id)
    if found is not None:
        raise InvalidField(
            field, f"an id holds no control characters; one is at position {found.start() + 1}"
        )


def check_name(name: str, field: str) -> None:
    """Check the form of a collection's or alias's name.

    Raises:
        InvalidField: another form, or that of a UID (which would hide one).
        LimitExceeded: too long.
    """
    if len(name) > MAX_NAME_CHARACTERS:
        raise LimitExceeded(field, f"a name has at most {MAX_NAME_CHARACTERS} characters")
    if not _NAME.fullmatch(name):
        raise InvalidField(
            field, 'must be a letter or digit, then letters, digits, "_", "-" or "." (ASCII)'
        )
    if _UID.fullmatch(name):
        raise InvalidField(field, "32 hexadecimal digits have the form of a UID; take another name")


def is_uid(text: str) -> bool:
    """Say whether `text` has the form of a collection's UID."""
    return _UID.fullmatch(text) is not None
