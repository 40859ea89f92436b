"""One run: indexes the images, searches, picks a threshold, and puts the figures together."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from lookalike.wire.errors import InvalidField, LookalikeError, Precondition, Unavailable
from lookalike_client import Client
from lookalike_client.challenge.labels import LabelledImages, LeftOut
from lookalike_client.challenge.quality import (
    ClassQuality,
    Measured,
    by_label,
    judge,
    pairs_at,
    recall_of_exact,
)
from lookalike_client.challenge.searches import (
    LABEL_FIELD,
    SUBLABEL_FIELD,
    Told,
    search_all,
    search_within_labels,
    time_searches,
)
from lookalike_client.challenge.times import Times
from lookalike_client.indexing.ledger import Ledger, Tally
from lookalike_client.indexing.run import IndexJob, run
from lookalike_client.requests import Evidence
from lookalike_client.types import CalibrationMode, CalibrationReport, Metadata


@dataclass(frozen=True, slots=True)
class Options:
    """What a run does; `model` is a name that the server knows, empty for its default one."""

    model: str
    max_queries: int
    timed: int
    threshold_images: int
    false_positive_rate: float
    seed: int
    keep: bool


@dataclass(frozen=True, slots=True)
class Indexed:
    """How indexing went; `ids` can be found."""

    collection: str
    model_fingerprint: str
    dimension: int
    ids: Sequence[str]
    took_s: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold that was picked, or why none was.

    At it, `images` of those searched for have another, in `pairs` pairs.
    """

    report: CalibrationReport | None
    why: str
    images: int
    pairs: int


@dataclass(frozen=True, slots=True)
class Challenge:
    """The figures of a run."""

    indexed: Indexed
    images: LabelledImages
    left_out: Sequence[LeftOut]
    queries: int
    unfiltered: Measured
    filtered: Measured
    recall_of_exact: float
    filtered_recall_of_exact: float
    plans: Mapping[str, int]
    filtered_plans: Mapping[str, int]
    threshold: Threshold
    times_ms: Mapping[str, Mapping[str, Times]]
    calls_s: Mapping[str, Sequence[float]]
    classes: Sequence[ClassQuality]


class Screen(Protocol):
    """Shows how far a run is."""

    def indexing(self, files: int) -> AbstractContextManager[Callable[[Tally], None]]:
        """Show the progress of indexing while the context is open."""
        ...

    def asking(self) -> AbstractContextManager[Told]:
        """Show the progress of everything else while the context is open."""
        ...


# Makes copies of a collection's images, as evidence of what is alike.
MakeCopies: TypeAlias = Callable[[Client, str, Told], Evidence]


def run_challenge(
    client: Client,
    images: LabelledImages,
    options: Options,
    make_copies: MakeCopies,
    screen: Screen,
) -> Challenge:
    """Run the challenge in a collection of its own, which is deleted unless it is to be kept.

    Raises:
        LookalikeError: nothing could be indexed, or the service fails.
    """
    name = f"challenge-{uuid.uuid4().hex[:12]}"
    client.collections.create(name, model=options.model)
    try:
        result = _run(client, name, images, options, make_copies, screen)
    except BaseException:
        with suppress(LookalikeError):  # why it failed matters more
            client.collections.delete(name)
        raise
    if not options.keep:
        client.collections.delete(name)
    return result


def _run(
    client: Client,
    name: str,
    images: LabelledImages,
    options: Options,
    make_copies: MakeCopies,
    screen: Screen,
) -> Challenge:
    indexed, failed = _index(client, name, images, screen)
    there = set(indexed.ids)
    labels = {id: label for id, label in images.labels.items() if id in there}
    # An item is like another within the filter: of the same label and sub-label.
    inner = {id: (labels[id], sub) for id, sub in images.sublabels.items() if id in there}
    queries = _sampled(indexed.ids, options)
    inner_queries = [id for id in queries if id in inner]
    with screen.asking() as told:
        plain = search_all(client, name, queries, exact=False, told=told)
        plain_exact = search_all(client, name, queries, exact=True, told=told)
        within = search_within_labels(client, name, inner_queries, labels, exact=False, told=told)
        within_exact = search_within_labels(
            client, name, inner_queries, labels, exact=True, told=told
        )
        searchable = replace(images, files=[file for file in images.files if file.id in there])
        watches = time_searches(
            client, name, searchable, most=options.timed, seed=options.seed, told=told
        )
        picked = _threshold(client, name, options, make_copies, told)
    unfiltered, filtered = judge(plain.found, labels), judge(within.found, inner)
    threshold = picked.report.decision.threshold if picked.report is not None else 2.0
    near, pairs = pairs_at(plain_exact.found.items(), threshold)
    return Challenge(
        indexed=indexed,
        images=searchable,
        left_out=[*images.left_out, *failed],
        queries=len(queries),
        unfiltered=unfiltered.measured(),
        filtered=filtered.measured(),
        recall_of_exact=recall_of_exact(plain.found, plain_exact.found),
        filtered_recall_of_exact=recall_of_exact(within.found, within_exact.found),
        plans=dict(plain.plans),
        filtered_plans=dict(within.plans),
        threshold=replace(picked, images=near, pairs=pairs),
        times_ms={kind: watch.times_ms() for kind, watch in watches.items()},
        calls_s={kind: watch.stages["end to end"] for kind, watch in watches.items()},
        classes=by_label(unfiltered, filtered, labels),
    )


def _index(
    client: Client, name: str, images: LabelledImages, screen: Screen
) -> tuple[Indexed, list[LeftOut]]:
    """Index the images, and wait until all can be found or have failed."""
    metadata: dict[str, Metadata] = {id: {LABEL_FIELD: text} for id, text in images.labels.items()}
    for id, text in images.sublabels.items():
        metadata[id] = {LABEL_FIELD: images.labels[id], SUBLABEL_FIELD: text}
    job = IndexJob(name, images.files, metadata, job_id=f"{name}-index")
    began_s = time.monotonic()
    with screen.indexing(len(images.files)) as show:
        ledger = run(client, job, show)
    took_s = time.monotonic() - began_s
    failed = _failures(ledger)
    missing = {id for each in failed for id in each.names}
    ids = [file.id for file in images.files if file.id not in missing]
    if len(ids) < 2:
        why = f": {failed[0].why}" if failed else ""
        raise InvalidField("images", f"{len(ids)} of {len(images.files)} could be indexed{why}")
    collection = client.collections.get(name)
    return Indexed(
        name, collection.model_fingerprint, collection.dimension, sorted(ids), took_s
    ), failed


def _failures(ledger: Ledger) -> list[LeftOut]:
    by_reason: dict[str, list[str]] = {}
    for failure in ledger.sorted_failures():
        by_reason.setdefault(f"images: {failure.error.message}", []).append(failure.id)
    if ledger.lost:
        by_reason["images: lost in the queue"] = list(ledger.lost)
    return [LeftOut(why, names) for why, names in by_reason.items()]


def _sampled(ids: Sequence[str], options: Options) -> list[str]:
    if len(ids) <= options.max_queries:
        return list(ids)
    drawn = random.Random(options.seed).sample(list(ids), options.max_queries)  # noqa: S311
    return sorted(drawn)


def _threshold(
    client: Client, name: str, options: Options, make_copies: MakeCopies, told: Told
) -> Threshold:
    """Pick a threshold that holds beyond the sample, else the best on it, else none."""
    why = ""
    try:
        evidence = make_copies(client, name, told)
        for mode in (CalibrationMode.BOUND, CalibrationMode.POINT):
            try:
                report = client.analysis.calibrate(
                    name,
                    evidence,
                    false_positive_rate_at_most=options.false_positive_rate,
                    mode=mode,
                    on_progress=told,
                )
                return Threshold(report, why, 0, 0)
            except InvalidField as error:
                why = why or error.message
    except (InvalidField, LookalikeError, Precondition, Unavailable) as error:
        why = error.message
    return Threshold(None, why, 0, 0)
