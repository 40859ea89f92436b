"""What one of two collections lacks of the other, by the versions of their ids.

The two give out versions in one order, and a version stands for the same change in both:
so what is newer in one is what the other lacks, whichever way it came.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from search_service.store.registers import RegisterReader
from search_service.store.rules import Registers

NOTHING = Registers()
# Ids read by one statement: some 80 bytes each.
_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Lack:
    """What a collection lacks of an id that the other has newer; versions, 0 for nothing."""

    picture: int = 0
    metadata: int = 0
    deletion: int = 0

    @property
    def any(self) -> bool:
        """Whether it lacks anything."""
        return bool(self.picture or self.metadata or self.deletion)


@dataclass(frozen=True, slots=True)
class Difference:
    """What each of two collections lacks of an id."""

    id: str
    source: Lack
    target: Lack


def lack_of(held: Registers, other: Registers) -> Lack:
    """Say what who holds `held` lacks of `other`, a deletion before what it leaves."""
    deletion = 0
    if other.delete > held.delete and (
        held.vector < other.delete or held.delete < held.metadata < other.delete
    ):
        deletion = other.delete
    deleted = max(held.delete, other.delete)
    picture = other.vector if other.live and other.vector > max(held.vector, deleted) else 0
    metadata = 0
    if other.live and other.metadata > max(held.metadata, deleted):
        metadata = other.metadata
    return Lack(picture, metadata, deletion)


def difference(id: str, source: Registers, target: Registers) -> Difference | None:
    """Say what each lacks of an id; None where they are equal."""
    if source == target:
        return None
    found = Difference(id, lack_of(source, target), lack_of(target, source))
    return found if found.source.any or found.target.any else None


def pages(
    source: RegisterReader, target: RegisterReader, after_id: str = ""
) -> Iterator[tuple[list[Difference], str]]:
    """Yield what differs past `after_id`, by id and page by page, and the last id of each page.

    A page may be empty. The last page's last id is "".

    Raises:
        StoreDamaged, Unavailable: a store cannot be read.
    """
    while True:
        ours, theirs = source.page(after_id, _PAGE), target.page(after_id, _PAGE)
        full = [page[-1][0] for page in (ours, theirs) if len(page) == _PAGE]
        upto = min(full, default="")
        left = {id: registers for id, registers in ours if not upto or id <= upto}
        right = {id: registers for id, registers in theirs if not upto or id <= upto}
        found = (
            difference(id, left.get(id, NOTHING), right.get(id, NOTHING))
            for id in sorted(left.keys() | right.keys())
        )
        yield [each for each in found if each is not None], upto
        if not upto:
            return
        after_id = upto
