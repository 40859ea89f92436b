"""Suggestions of labels."""

from __future__ import annotations

from collections.abc import Iterable

from lookalike.v1 import labelling_pb2
from lookalike_client import types


def label_suggestions(
    messages: Iterable[labelling_pb2.SuggestLabelsResponse],
) -> types.LabelSuggestions:
    """Return what the messages of one answer say together."""
    summary = labelling_pb2.LabellingSummary()
    named: list[types.LabelSuggestion] = []
    for message in messages:
        if message.HasField("summary"):
            summary = message.summary
        named += [
            types.LabelSuggestion(
                id=each.id,
                label=each.label,
                confidence=each.confidence,
                share=each.share,
                second=each.second,
                present=each.present,
            )
            for each in message.suggestions.suggestions
        ]
    return types.LabelSuggestions(
        items=summary.items,
        labelled=summary.labelled,
        labels=summary.labels,
        accuracy=summary.accuracy,
        suggestions=named,
    )
