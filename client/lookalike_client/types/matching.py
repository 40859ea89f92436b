"""Whether images are among known ones, and the hashes of a bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lookalike.wire.errors import LookalikeError


class MatchVerdict(StrEnum):
    """Whether an image is known; `UNCERTAIN`: a person should look."""

    MATCH = "match"
    NO_MATCH = "no_match"
    UNCERTAIN = "uncertain"


class MatchRule(StrEnum):
    """Which signals make a match: either, both for the same item, or one of them alone."""

    ANY = "any"
    BOTH = "both"
    VECTOR = "vector"
    PDQ = "pdq"


class SignalAgreement(StrEnum):
    """What vector and PDQ hash say of one known image; or that only one was compared."""

    AGREE = "agree"
    DISAGREE = "disagree"
    VECTOR_ONLY = "vector_only"
    PDQ_ONLY = "pdq_only"


class MatchRemark(StrEnum):
    """What to know of a verdict.

    `BLANK`: the image is of one tone, and its vector says next to nothing.
    `LOW_PDQ_QUALITY`, `NO_PDQ_HASH`: its hash was not matched. `ITEMS_WITHOUT_PDQ`: some
    items have no hash; index them again. `BANK_HAS_GROWN`: ten times the items since the
    threshold was calibrated; calibrate again.
    """

    BLANK = "blank"
    LOW_PDQ_QUALITY = "low_pdq_quality"
    NO_PDQ_HASH = "no_pdq_hash"
    ITEMS_WITHOUT_PDQ = "items_without_pdq"
    BANK_HAS_GROWN = "bank_has_grown"


@dataclass(frozen=True, slots=True)
class KnownHash:
    """A PDQ hash of a known image, 64 hexadecimal digits.

    `quality` is 0 to 100, or None where it is not known. `id` is that of the item that it
    is of; empty for one on the list of the bank.
    """

    pdq_hash: str
    quality: int | None = None
    name: str = ""
    label: str = ""
    id: str = ""
    import_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class MatchEvidence:
    """A known image that is near: an item by its `id`, or a hash on the list.

    `score` is the cosine and `pdq_distance` in how many of 256 bits the hashes differ;
    None where they were not compared.
    """

    id: str
    listed: KnownHash | None
    score: float | None
    pdq_distance: int | None
    pdq_quality: int | None
    vector_matches: bool
    pdq_matches: bool
    verdict: MatchVerdict


@dataclass(frozen=True, slots=True)
class MatchResult:
    """Whether an image is known, and why: the nearest known images, the decisive ones first.

    `key` is what the caller called it. `verdict` is None where there is an `error`.
    `agreement` is about the first piece of evidence, None without one.
    """

    key: str
    verdict: MatchVerdict | None
    agreement: SignalAgreement | None = None
    evidence: Sequence[MatchEvidence] = ()
    threshold: float = 0.0
    threshold_calibrated: bool = False
    pdq_hash: str = ""
    pdq_quality: int | None = None
    remarks: Sequence[MatchRemark] = ()
    error: LookalikeError | None = None


@dataclass(frozen=True, slots=True)
class Bank:
    """What a bank can match: items with a hash, hashes on its list, and a threshold.

    Those of low quality (below 50) are not matched. `threshold` is the calibrated one, None
    where none is kept for this model.
    """

    items: int
    hashed_items: int
    low_quality_items: int
    items_without_pdq: int
    listed_hashes: int
    low_quality_hashes: int
    threshold: float | None


@dataclass(frozen=True, slots=True)
class HashImport:
    """How many hashes were new on a list, and how many replaced one."""

    added: int
    replaced: int
