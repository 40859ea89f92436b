"""Metadata on which filters do something else than is meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from search_service.analysis.checking.field_profiles import (
    Examples,
    FieldProfile,
    path_text,
    profile_fields,
)
from search_service.analysis.checking.finding import Finding, Verdict
from search_service.analysis.checking.names import did_you_mean
from search_service.analysis.gallery import Gallery
from search_service.domain.conditions import FieldPath

# Fewer items than this share have the field: a slip in its name, or hardly of use.
_RARE_SHARE = 0.01
_LEAST_ITEMS = 50
# Texts of more distinct values are no choice from a list.
_MOST_CHOICES = 1_000
_SHOWN = 3
_NO_MATCH = "compare names, case and kinds of values with what items have: `lookalike facets`"

Profiles = Mapping[FieldPath, FieldProfile]


def check_metadata(gallery: Gallery, options: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what the metadata shows, and whether what is asked for is there."""
    profiles = profile_fields(gallery.ids, gallery.metadata)
    yield from _times(profiles)
    yield from _long_numbers(profiles)
    yield from _rounded_numbers(profiles)
    yield from _mixed(profiles)
    yield from _rare(profiles, len(gallery))
    yield from _spellings(profiles)
    yield from _names(profiles)
    yield from _asked_fields(profiles, options, len(gallery))
    yield from _asked_filters(profiles, options, len(gallery))
    yield from _labels(profiles, gallery, options)


def _times(profiles: Profiles) -> Iterator[Finding]:
    def found(each: FieldProfile) -> str:
        return f"{each.times_without_offset.count:,} of {each.times:,} times have no offset"

    yield from _of_fields(
        "times_without_offset",
        profiles,
        lambda each: each.times_without_offset,
        found,
        "every time has its offset from UTC",
        "a time without an offset is only text: no time range matches it. Store it with its "
        "offset, as in 2024-05-01T12:00:00Z",
    )


def _long_numbers(profiles: Profiles) -> Iterator[Finding]:
    def found(each: FieldProfile) -> str:
        texts = each.long_texts
        alike = len(texts) - len({float(int(text)) for text in texts})
        return (
            f"{each.long_numbers.count:,} texts are whole numbers beyond 2^53; {alike:,} of "
            "their values would be the same as another one as numbers"
        )

    yield from _of_fields(
        "numbers_beyond_2_53",
        profiles,
        lambda each: each.long_numbers,
        found,
        "no text is a whole number beyond 2^53",
        "compare them as text, in quotes and with = or in: number ranges do not match them, "
        "and turned into numbers they would be rounded",
    )


def _rounded_numbers(profiles: Profiles) -> Iterator[Finding]:
    yield from _of_fields(
        "numbers_rounded",
        profiles,
        lambda each: each.rounded_numbers,
        lambda each: f"{each.rounded_numbers.count:,} numbers are 2^53 or beyond",
        "no number is so large that it may have been rounded",
        "numbers are float64: neighbours beyond 2^53 are one number. Store identifiers as text",
    )


def _mixed(profiles: Profiles) -> Iterator[Finding]:
    def minor(each: FieldProfile) -> Examples:
        sorts = sorted(each.sorts.values(), key=lambda some: some.count)
        return sorts[0] if len(sorts) > 1 else Examples()

    def found(each: FieldProfile) -> str:
        sorts = sorted(each.sorts.items(), key=lambda pair: -pair[1].count)
        return "holds " + ", ".join(f"{some.count:,} of {sort}" for sort, some in sorts)

    yield from _of_fields(
        "mixed_types",
        profiles,
        minor,
        found,
        "each field holds values of one kind",
        "conditions on one kind never match the others: store all of them alike",
    )


def _rare(profiles: Profiles, items: int) -> Iterator[Finding]:
    if items < _LEAST_ITEMS:
        yield Finding("rare_fields", Verdict.OK, "too few items to tell")
        return
    least = max(_RARE_SHARE * items, 2)
    names = [path_text(path) for path, each in profiles.items() if each.items >= least]

    def some(each: FieldProfile) -> Examples:
        # What stands in an object is as rare as that.
        inner = each.path[:-1] in profiles and profiles[each.path[:-1]].items < least
        if each.items >= least or inner:
            return Examples()
        return next(iter(each.sorts.values()))

    yield from _of_fields(
        "rare_fields",
        profiles,
        some,
        lambda each: f"{each.items:,} of {items:,} items have it{did_you_mean(each.name, names)}",
        "each field is on 1 % of the items at least",
        "a slip in the name? Filters and labels see only the items that have it",
    )


def _spellings(profiles: Profiles) -> Iterator[Finding]:
    def pairs(each: FieldProfile) -> list[Sequence[str]]:
        if not each.texts_whole or len(each.texts) > _MOST_CHOICES:
            return []
        return _same_but_spelling(each.texts)

    findings = []
    for each in profiles.values():
        if twice := pairs(each):
            shown = "; ".join(" and ".join(f'"{text}"' for text in one) for one in twice[:_SHOWN])
            findings.append(
                Finding(
                    "spellings_of_values",
                    Verdict.WARN,
                    f"{len(twice):,} values differ only in case or spaces: {shown}",
                    float(len(twice)),
                    "a filter for one misses the other: store one spelling, or compare with "
                    "iequals",
                    each.name,
                )
            )
    yield from findings or [
        Finding("spellings_of_values", Verdict.OK, "no two values differ only in case or spaces")
    ]


def _names(profiles: Profiles) -> Iterator[Finding]:
    twice = _same_but_spelling([each.name for each in profiles.values()])
    for names in twice:
        yield Finding(
            "spellings_of_fields",
            Verdict.WARN,
            "these fields differ only in case, spaces, - or _: " + ", ".join(names),
            float(len(names)),
            "a filter on one misses items that have the other: store one of them",
            names[0],
        )
    if not twice:
        found = "no two fields differ only in case, spaces, - or _"
        yield Finding("spellings_of_fields", Verdict.OK, found)


def _asked_fields(profiles: Profiles, options: Mapping[str, Any], items: int) -> Iterator[Finding]:
    name = "fields_there"
    names = [each.name for each in profiles.values()]
    for path in map(tuple, options["fields"]):
        if path in profiles:
            found = f"{profiles[path].items:,} of {items:,} items have it"
            yield Finding(name, Verdict.OK, found, profiles[path].items, field=path_text(path))
            continue
        yield Finding(
            name,
            Verdict.FAIL,
            f"no item has it{did_you_mean(path_text(path), names)}",
            0.0,
            "names of fields are compared with case; `lookalike get` shows an item's fields",
            path_text(path),
        )


def _asked_filters(profiles: Profiles, options: Mapping[str, Any], items: int) -> Iterator[Finding]:
    names = [each.name for each in profiles.values()]
    for each in options["filters"]:
        lacking = [path for path in map(tuple, each["paths"]) if path not in profiles]
        why = ""
        if lacking and not each["matches"]:
            missing = path_text(lacking[0])
            why = f"; no item has the field {missing}{did_you_mean(missing, names)}"
        yield Finding(
            "filters_match",
            Verdict.OK if each["matches"] else Verdict.FAIL,
            f"{each['text']}: {each['matches']:,} of {items:,} items{why}",
            float(each["matches"]),
            "" if each["matches"] else _NO_MATCH,
        )


def _labels(profiles: Profiles, gallery: Gallery, options: Mapping[str, Any]) -> Iterator[Finding]:
    path = tuple(options["label_path"])
    if not path:
        return
    name, items = path_text(path), len(gallery)
    profile = profiles.get(path, FieldProfile(path))
    values: dict[str, list[str]] = defaultdict(list)
    for id, value in zip(gallery.ids, gallery.values(path), strict=True):
        if isinstance(value, str | int | float) and str(value).strip():
            values[str(value)].append(id)
    labelled = sum(map(len, values.values()))
    alone = [ids[0] for ids in values.values() if len(ids) == 1]
    few = labelled < max(2, _RARE_SHARE * items) or len(values) < 2
    most = len(alone) * 2 > len(values)
    verdict = (
        Verdict.FAIL if few else Verdict.WARN if most or profile.blank_texts.count else Verdict.OK
    )
    yield Finding(
        "labels",
        verdict,
        f"{labelled:,} of {items:,} items have one of {len(values):,} labels; {len(alone):,} "
        f"labels have one item only, {profile.blank_texts.count:,} are empty",
        labelled / max(items, 1),
        ""
        if verdict is Verdict.OK
        else "evaluation, calibration and suggestions need two items "
        "of a label at least, and two labels: label more items, or merge rare labels",
        name,
        [] if verdict is Verdict.OK else profile.blank_texts.ids or alone,
    )


def _of_fields(
    name: str,
    profiles: Profiles,
    some: Callable[[FieldProfile], Examples],
    found: Callable[[FieldProfile], str],
    well: str,
    advice: str,
) -> Iterator[Finding]:
    """Yield a warning for each field of which there are `some`, or that all is well."""
    there = [(each, some(each)) for each in profiles.values()]
    there = [pair for pair in there if pair[1].count]
    for each, examples in there:
        yield Finding(
            name,
            Verdict.WARN,
            found(each),
            float(examples.count),
            advice,
            each.name,
            examples.ids,
        )
    if not there:
        yield Finding(name, Verdict.OK, well, 0.0)


def _same_but_spelling(texts: Iterable[str]) -> list[Sequence[str]]:
    alike: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        alike["".join(each for each in text.casefold() if each not in " \t-_")].append(text)
    return [sorted(some) for some in alike.values() if len(some) > 1]
