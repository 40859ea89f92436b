"""Label suggestions: requests to options, and answers to messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.v1 import labelling_pb2 as pb
from lookalike.wire.errors import InvalidField
from search_service import limits
from search_service.servicers.translate import read_path

_MOST_NEIGHBOURS = 100
_DEFAULT_NEIGHBOURS = 10
_MOST_NAMED = 1_000_000
_DEFAULT_NAMED = 10_000


def labelling_options(request: pb.SuggestLabelsRequest) -> dict[str, Any]:
    """Return the options of a request.

    Raises:
        InvalidField: naming the field.
    """
    if not request.label_field:
        raise InvalidField("label_field", "name the metadata field that holds the labels")
    return {
        "label_path": list(read_path(request.label_field, "label_field")),
        "neighbours": limits.check_range(
            "neighbours", request.neighbours or _DEFAULT_NEIGHBOURS, 1, _MOST_NEIGHBOURS
        ),
        "errors": request.errors,
        "most": limits.check_range("limit", request.limit or _DEFAULT_NAMED, 1, _MOST_NAMED),
    }


def labelling_response(content: Mapping[str, Any]) -> pb.SuggestLabelsResponse:
    """Return the message of a part of the answer."""
    if "suggestions" in content:
        named = [pb.LabelSuggestion(**each) for each in content["suggestions"]]
        return pb.SuggestLabelsResponse(suggestions=pb.LabelSuggestions(suggestions=named))
    return pb.SuggestLabelsResponse(summary=pb.LabellingSummary(**content))
