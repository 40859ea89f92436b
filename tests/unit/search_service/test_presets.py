from __future__ import annotations

import pytest

from search_service.domain.collection import Preset
from search_service.presets import index_settings


@pytest.mark.parametrize("preset", list(Preset))
@pytest.mark.parametrize("dimension", [2, 255, 256, 512, 768, 4_096])
def test_every_value_is_within_the_limits_of_the_contract(preset: Preset, dimension: int) -> None:
    settings = index_settings(preset, dimension)
    assert settings.preset is preset
    assert 4 <= settings.connectivity <= 128
    assert 16 <= settings.expansion_add <= 2_000
    assert 16 <= settings.expansion_search <= 4_000
    assert 0 <= settings.graph_dimension < dimension


def test_presets_are_ordered_by_effort() -> None:
    ordered = (Preset.FAST, Preset.BALANCED, Preset.ACCURATE)
    fast, balanced, accurate = (index_settings(preset, 512) for preset in ordered)
    assert fast.expansion_search < balanced.expansion_search < accurate.expansion_search
    assert fast.expansion_add <= balanced.expansion_add <= accurate.expansion_add


def test_short_vectors_are_not_reduced() -> None:
    assert index_settings(Preset.BALANCED, 128).graph_dimension == 0
    assert index_settings(Preset.BALANCED, 512).graph_dimension == 256
