from __future__ import annotations

import pytest

from lookalike.v1 import search_pb2
from lookalike_client.convert import search_result
from lookalike_client.types import PlanKind


@pytest.mark.parametrize("number", search_pb2.PlanKind.values())
def test_every_plan_of_the_contract_has_its_name(number: search_pb2.PlanKind.ValueType) -> None:
    name = search_pb2.PlanKind.Name(number).removeprefix("PLAN_KIND_").lower()
    message = search_pb2.QueryResult(plan_kind=number, plan=search_pb2.QueryPlan(kind=number))
    result = search_result(message)
    assert result.plan_kind is PlanKind(name)
    assert result.plan is not None
    assert result.plan.kind is PlanKind(name)
