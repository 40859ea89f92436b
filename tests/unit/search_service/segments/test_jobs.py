"""A job of the builder on its way to the child."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from search_service.domain.collection import IndexSettings
from search_service.segments.api import BuildJob
from tests.unit.search_service.segments.support import SETTINGS

JOB = BuildJob(
    store_path=Path("/data/é/store.db"),
    segments_path=Path("/data/é/segments"),
    uid="uid-1",
    dimension=48,
    fingerprint="model-1",
    settings=SETTINGS,
    upto_ordinal=2**32 - 1,
    threads=3,
)


@pytest.mark.parametrize(
    "job", [JOB, replace(JOB, seal_only=True), replace(JOB, seal_only=True, hurried=True)]
)
def test_a_job_arrives_as_it_was_sent(job: BuildJob) -> None:
    assert BuildJob.from_json(json.loads(json.dumps(job.to_json()))) == job


@pytest.mark.parametrize(
    "change", [{"preset": "best"}, {"dtype": "f64"}, {"links": 3}, {"connectivity": None}]
)
def test_settings_of_another_form_are_refused(change: dict[str, object]) -> None:
    fields = {**JOB.to_json()["settings"], **change}
    fields = {name: value for name, value in fields.items() if value is not None}

    with pytest.raises((KeyError, TypeError, ValueError)):
        IndexSettings.from_json(fields)
