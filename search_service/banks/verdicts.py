"""From what is near to whether an image is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from search_service.store.known_hashes import KnownHash


class Verdict(IntEnum):
    """Whether an image is known; the greater of two is the one that counts."""

    NO_MATCH = 0
    UNCERTAIN = 1
    MATCH = 2


class Rule(IntEnum):
    """Which signals make a match; numbers as in `lookalike.v1.MatchRule`."""

    ANY = 1
    BOTH = 2
    VECTOR = 3
    PDQ = 4


class Agreement(IntEnum):
    """What two signals say of one image; numbers as in `lookalike.v1.SignalAgreement`."""

    NOTHING = 0
    AGREE = 1
    DISAGREE = 2
    VECTOR_ONLY = 3
    PDQ_ONLY = 4


@dataclass(frozen=True, slots=True)
class Terms:
    """From where on something matches, and from where on it is uncertain.

    Cosines of at least `threshold` match, hashes within `pdq_distance` bits; the bounds of
    what is uncertain lie below and above. `threshold` counts for nothing where no vectors
    are compared.
    """

    threshold: float
    review_threshold: float
    pdq_distance: int
    pdq_review_distance: int
    rule: Rule


@dataclass(frozen=True, slots=True)
class Near:
    """A known image that is near: an item by its id, or a hash on the list.

    `score` is a cosine and `distance` a count of bits; None where it was not compared.
    """

    id: str = ""
    listed: KnownHash | None = None
    score: float | None = None
    distance: int | None = None
    quality: int | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What one known image makes of another."""

    near: Near
    verdict: Verdict
    vector_matches: bool
    pdq_matches: bool

    @property
    def agreement(self) -> Agreement:
        """Whether both signals say the same."""
        if self.near.score is None:
            return Agreement.PDQ_ONLY if self.near.distance is not None else Agreement.NOTHING
        if self.near.distance is None:
            return Agreement.VECTOR_ONLY
        return Agreement.AGREE if self.vector_matches == self.pdq_matches else Agreement.DISAGREE


def judge(near: Sequence[Near], terms: Terms, *, blank: bool) -> list[Judged]:
    """Return what each makes of an image: matches first, then by cosine, then by distance.

    The vector of a `blank` image says next to nothing: what it matches is uncertain.
    """
    judged = [_judge(each, terms, blank=blank) for each in near]
    return sorted(judged, key=_order)


def verdict_of(judged: Sequence[Judged]) -> Verdict:
    """Return the verdict on an image."""
    return max((each.verdict for each in judged), default=Verdict.NO_MATCH)


def _judge(near: Near, terms: Terms, *, blank: bool) -> Judged:
    vector, pdq = _by_vector(near, terms), _by_pdq(near, terms)
    counted = Verdict.UNCERTAIN if blank and vector is Verdict.MATCH else vector
    match terms.rule:
        case Rule.VECTOR:
            verdict = counted
        case Rule.PDQ:
            verdict = pdq
        case Rule.ANY:
            verdict = max(counted, pdq)
        case Rule.BOTH:
            either = max(counted, pdq)
            # What only one of them matches, a person decides.
            verdict = min(either, Verdict.UNCERTAIN) if counted is not pdq else either
    return Judged(near, verdict, vector is Verdict.MATCH, pdq is Verdict.MATCH)


def _by_vector(near: Near, terms: Terms) -> Verdict:
    if near.score is None:
        return Verdict.NO_MATCH
    if near.score >= terms.threshold:
        return Verdict.MATCH
    return Verdict.UNCERTAIN if near.score >= terms.review_threshold else Verdict.NO_MATCH


def _by_pdq(near: Near, terms: Terms) -> Verdict:
    if near.distance is None:
        return Verdict.NO_MATCH
    if near.distance <= terms.pdq_distance:
        return Verdict.MATCH
    return Verdict.UNCERTAIN if near.distance <= terms.pdq_review_distance else Verdict.NO_MATCH


def _order(judged: Judged) -> tuple[int, float, int, str]:
    near = judged.near
    score = -2.0 if near.score is None else near.score
    distance = 257 if near.distance is None else near.distance
    name = near.id or (near.listed.hash.hex() if near.listed else "")
    return (-judged.verdict, -score, distance, name)
