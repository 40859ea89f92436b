"""What the three processes declare: one spelling, and nothing without bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.settings_page import PROCESSES
from lookalike.serving.settings.declared import Option, options_of
from lookalike.serving.settings.reading import (
    CLIENT_VARIABLES,
    PARTS,
    Process,
    SettingsInvalid,
    read,
)
from lookalike_client import settings as client_settings

# What is said in a name, and the unit that goes with it.
UNITS = {"s": "seconds", "ms": "milliseconds", "bytes": "bytes", "mib": "MiB", "px": "pixels"}
NEEDED = {"SEARCH": {"LOOKALIKE_SEARCH_DATA": "/data"}}
ALL = [(process, option) for process, kind in PROCESSES for option in options_of(kind)]


def _name(value: object) -> str:
    return value.part.lower() if isinstance(value, Process) else getattr(value, "flag", "")


def test_every_process_is_known_to_the_others() -> None:
    assert sorted(process.part for process, _ in PROCESSES) == sorted(PARTS)


@pytest.mark.parametrize(("process", "option"), ALL, ids=_name)
def test_numbers_have_bounds_and_names_their_units(process: Process, option: Option) -> None:
    said = [UNITS[word] for word in option.name.split("_") if word in UNITS]

    assert said == [unit for unit in (option.rules.unit,) if unit in UNITS.values()]
    if option.kind in (int, float):
        assert option.rules.least is not None
        assert option.rules.most is not None


@pytest.mark.parametrize(("process", "kind"), PROCESSES, ids=_name)
def test_the_defaults_keep_to_the_rules(process: Process, kind: type[Any]) -> None:
    needed = NEEDED.get(process.part, {})
    defaults = {
        process.prefix + option.name.upper(): option.default_text
        for option in options_of(kind)
        if option.default_text
    }

    assert len(defaults) > 10
    assert read(kind, process, [], {**defaults, **needed}) == read(kind, process, [], needed)


def test_a_setting_of_several_processes_means_the_same() -> None:
    shared = dict[str, set[tuple[object, ...]]]()
    for _, option in ALL:
        form = (option.kind, option.many, option.rules.unit, option.rules.choices)
        shared.setdefault(option.name, set()).add(form)

    assert [name for name, forms in shared.items() if len(forms) > 1] == []


def test_the_names_that_are_read_by_the_client_are_known() -> None:
    class Asked(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            asked.add(key)
            return super().get(key, default)

    asked = set[str]()
    client_settings.load(Asked())

    ours = {name for name in asked if name.startswith("LOOKALIKE_")}
    assert ours == CLIENT_VARIABLES


def _tls_files(tmp_path: Any) -> Iterator[str]:
    for name in ("ca", "certificate", "key"):
        (tmp_path / name).touch()
        yield str(tmp_path / name)


@pytest.mark.parametrize(("process", "kind"), PROCESSES, ids=_name)
def test_tls_is_spelt_the_same_everywhere(process: Process, kind: type[Any], tmp_path: Any) -> None:
    ca, certificate, key = _tls_files(tmp_path)
    needed = NEEDED.get(process.part, {})
    pair = ["--tls-certificate", certificate, "--tls-key", key]

    tls = read(kind, process, [*pair, "--tls-ca", ca], needed).tls
    assert [str(path) for path in (tls.ca, tls.certificate, tls.key)] == [ca, certificate, key]
    assert read(kind, process, [], needed).tls is None
    with pytest.raises(SettingsInvalid, match="--tls-certificate and --tls-key go together"):
        read(kind, process, pair[:2], needed)
