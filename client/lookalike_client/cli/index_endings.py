"""What `lookalike index --wait` says of images that were stored with a remark, or not stored
though nothing is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike_client.cli.output import Output
from lookalike_client.indexing.ledger import Ledger

# Ids that a sentence names; programs get all.
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class IndexEndings:
    """The ends of a run's images that are neither plain nor failures."""

    collection: str
    ledger: Ledger

    def document(self) -> dict[str, object]:
        """Return what programs are told, all of it."""
        return {
            "rejected": self.ledger.kept_out(),
            "lost": sorted(self.ledger.lost),
            "blank": self.ledger.blank,
            "truncated": self.ledger.truncated,
        }

    def print(self, output: Output) -> None:
        """Print what people are told."""
        rejected = self.ledger.kept_out()
        if rejected:
            output.table(
                f"Rejected as duplicates {len(rejected):,}",
                ["id", "looks like", "score>"],
                [(each.id, each.of, f"{each.score:.4f}") for each in rejected],
            )
            output.paragraph("They are listed by `lookalike failures`. To store them all the same:")
            output.text(f"  lookalike failures -c {self.collection} --store-duplicates")
        for line in self._remarks():
            output.paragraph(f"warning: {line}")

    def _remarks(self) -> Sequence[str]:
        ledger = self.ledger
        found = []
        if ledger.lost:
            found.append(
                f"{_images(ledger.lost)} lost by the queue's server before being stored; run "
                f"the same command again to send just those: {_names(sorted(ledger.lost))}"
            )
        if ledger.blank:
            found.append(
                f"{_images(ledger.blank)} blank or nearly so, and like any other such image to "
                f"the model: {_names(ledger.blank)}"
            )
        if ledger.truncated:
            found.append(
                f"{_images(ledger.truncated)} cut short, and stored without the missing end: "
                f"{_names(ledger.truncated)}"
            )
        return found


def _images(ids: Sequence[str]) -> str:
    return "1 image is" if len(ids) == 1 else f"{len(ids):,} images are"


def _names(ids: Sequence[str]) -> str:
    more = len(ids) - _MOST_NAMES
    named = ", ".join(ids[:_MOST_NAMES])
    return f"{named} and {more:,} more (`--json` lists all)" if more > 0 else named
