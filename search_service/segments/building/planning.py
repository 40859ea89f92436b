"""Decides what a build does, from what there is and how much of it still lives.

A vector is inserted into a graph about twice in its life: into the delta when it
leaves the head, into the base when the delta has grown to a fifth of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from search_service.domain.arrays import I64
from search_service.domain.collection import IndexSettings
from search_service.segments.manifest import Manifest

# Up to here a scan (20 MB of 512-dimensional rows, 2 ms) is as fast as a graph.
LEAST_GRAPH_VECTORS = 10_000
# The delta joins the base at this share of it. Each join audits the whole base,
# so the audits of a growing collection cost 1 / share + 1 times its final size.
DELTA_SHARE = 0.2
# A segment with more dead ordinals than this is built anew from the store: what is
# on disk and in memory stays below 1.25 times what a fresh build would take.
MOST_DEAD_SHARE = 0.2


class Action(StrEnum):
    """What is done with the vectors of a range of ordinals."""

    NOTHING = "nothing"
    SEAL = "seal"
    EXTEND = "extend"
    BUILD = "build"


@dataclass(frozen=True, slots=True)
class Current:
    """A segment that is in use."""

    name: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """Make one segment over the ordinals in (`after_ordinal`, `upto_ordinal`].

    It takes the place of the segments that lie inside that range. `base` is the
    segment that EXTEND starts from, or one whose encoder SEAL may use.
    """

    action: Action
    after_ordinal: int
    upto_ordinal: int
    base: str = ""


def make_plan(
    current: Sequence[Current],
    live: I64,
    settings: IndexSettings,
    upto_ordinal: int,
    *,
    erase: bool = False,
) -> BuildPlan:
    """Plan the next build.

    `live` holds the live ordinals up to `upto_ordinal`, int64 [n], ascending. `erase`
    lets no vector that was deleted stay: all is built anew from the store.
    """
    if erase and _share_of_dead_passes(0.0, current, live):
        few = len(live) < LEAST_GRAPH_VECTORS
        return BuildPlan(Action.SEAL if few else Action.BUILD, 0, upto_ordinal)
    ordered = sorted(current, key=lambda segment: segment.manifest.after_ordinal)
    covered = _covered(ordered)
    if len(live) < LEAST_GRAPH_VECTORS:
        if covered == upto_ordinal and len(ordered) <= 1 and not _mostly_dead(ordered, live):
            return BuildPlan(Action.NOTHING, 0, upto_ordinal)
        return BuildPlan(Action.SEAL, 0, upto_ordinal)
    if covered is None or not ordered or not _usable(ordered[0], live, settings):
        return BuildPlan(Action.BUILD, 0, upto_ordinal)
    base, rest = ordered[0], ordered[1:]
    tail = _count(live, base.manifest.upto_ordinal, upto_ordinal)
    if tail >= max(LEAST_GRAPH_VECTORS, DELTA_SHARE * base.manifest.nodes):
        return BuildPlan(Action.EXTEND, 0, upto_ordinal, base.name)
    if covered >= upto_ordinal and _settled(rest, live, settings):
        return BuildPlan(Action.NOTHING, 0, upto_ordinal)
    after = base.manifest.upto_ordinal
    if tail < LEAST_GRAPH_VECTORS:
        return BuildPlan(Action.SEAL, after, upto_ordinal)
    if rest and _usable(rest[0], live, settings):
        return BuildPlan(Action.EXTEND, after, upto_ordinal, rest[0].name)
    return BuildPlan(Action.BUILD, after, upto_ordinal)


def make_seal_plan(
    current: Sequence[Current], settings: IndexSettings, upto_ordinal: int
) -> BuildPlan:
    """Plan a segment without a graph over what no segment covers yet."""
    covered = _covered(sorted(current, key=lambda segment: segment.manifest.after_ordinal))
    if covered is not None and covered >= upto_ordinal:
        return BuildPlan(Action.NOTHING, covered, upto_ordinal)
    alike = [one for one in current if _is_encoded_as(one.manifest, settings)]
    newest = max(alike, key=lambda one: one.manifest.upto_ordinal, default=None)
    return BuildPlan(Action.SEAL, covered or 0, upto_ordinal, newest.name if newest else "")


def _settled(rest: Sequence[Current], live: I64, settings: IndexSettings) -> bool:
    """Whether what stands beside the base is one segment that needs nothing more."""
    if not rest:
        return True
    small = rest[0].manifest.nodes < LEAST_GRAPH_VECTORS
    fit = _usable(rest[0], live, settings) or (small and not _mostly_dead(rest, live))
    return len(rest) == 1 and fit


def _is_encoded_as(manifest: Manifest, settings: IndexSettings) -> bool:
    return manifest.has_codes and (
        manifest.settings.dtype == settings.dtype
        and manifest.settings.graph_dimension == settings.graph_dimension
    )


def _usable(segment: Current, live: I64, settings: IndexSettings) -> bool:
    manifest = segment.manifest
    same_graph = (
        _is_encoded_as(manifest, settings)
        and manifest.settings.connectivity == settings.connectivity
        and manifest.settings.expansion_add == settings.expansion_add
    )
    return manifest.has_graph and same_graph and not _mostly_dead([segment], live)


def _mostly_dead(segments: Sequence[Current], live: I64) -> bool:
    return _share_of_dead_passes(MOST_DEAD_SHARE, segments, live)


def _share_of_dead_passes(share: float, segments: Sequence[Current], live: I64) -> bool:
    return any(
        _count(live, segment.manifest.after_ordinal, segment.manifest.upto_ordinal)
        < (1.0 - share) * segment.manifest.ordinals
        for segment in segments
    )


def _covered(ordered: Sequence[Current]) -> int | None:
    """Return the last ordinal that the segments cover from 0 on; None with a gap."""
    covered = 0
    for segment in ordered:
        if segment.manifest.after_ordinal != covered:
            return None
        covered = segment.manifest.upto_ordinal
    return covered


def _count(live: I64, after_ordinal: int, upto_ordinal: int) -> int:
    first, last = np.searchsorted(live, [after_ordinal, upto_ordinal], side="right")
    return int(last - first)
