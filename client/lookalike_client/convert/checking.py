"""Checks of collections."""

from __future__ import annotations

from lookalike.v1 import check_pb2
from lookalike_client import types

_VERDICTS = {
    check_pb2.CHECK_VERDICT_OK: types.CheckVerdict.OK,
    check_pb2.CHECK_VERDICT_WARN: types.CheckVerdict.WARN,
    check_pb2.CHECK_VERDICT_FAIL: types.CheckVerdict.FAIL,
}


def check_report(message: check_pb2.CheckReport) -> types.CheckReport:
    """Return a report."""
    return types.CheckReport(
        items=message.items,
        queries=message.queries,
        findings=[
            types.CheckFinding(
                name=each.name,
                verdict=_VERDICTS[each.verdict],
                found=each.found,
                value=each.value if each.HasField("value") else None,
                advice=each.advice,
                field=each.field,
                example_ids=list(each.example_ids),
            )
            for each in message.findings
        ],
    )
