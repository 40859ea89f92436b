"""Settings in a file: what outranks it, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lookalike.serving.settings.declared import setting
from lookalike.serving.settings.reading import Process, SettingsInvalid, read

PROCESS = Process("SEARCH", "ship", "A ship.")


@dataclass(frozen=True, kw_only=True)
class Ship:
    sails: int = setting("sails to set", 3, least=0, most=9)
    anchored: bool = setting("lie at anchor", False)
    crew: tuple[str, ...] = setting("names of the crew", ())
    password: str = setting("word of the watch", "open", secret=True, choices=("open", "sesame"))


def load(text: str, tmp_path: Path, *arguments: str, **variables: str) -> Ship:
    file = tmp_path / "lookalike.toml"
    file.write_text(text, encoding="utf-8")
    environ = {"LOOKALIKE_SEARCH_CONFIG": str(file), **variables}
    return read(Ship, PROCESS, arguments, environ)


def refused(text: str, tmp_path: Path) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load(text, tmp_path)
    return str(caught.value).replace(str(tmp_path), "")


def test_options_outrank_variables_and_these_the_file(tmp_path: Path) -> None:
    text = '[search]\nsails = 5\nanchored = true\ncrew = ["Ann", "Bo"]\n[worker]\nother = 1\n'

    assert load(text, tmp_path) == Ship(sails=5, anchored=True, crew=("Ann", "Bo"))
    assert load(text, tmp_path, LOOKALIKE_SEARCH_SAILS="6").sails == 6
    assert load(text, tmp_path, "--sails", "7", LOOKALIKE_SEARCH_SAILS="6").sails == 7
    assert load(text, tmp_path, "--sails", "").sails == 3  # an empty option asks for the default
    assert load(text, tmp_path, LOOKALIKE_SEARCH_SAILS="").sails == 5


def test_the_file_may_be_named_by_an_option(tmp_path: Path) -> None:
    file = tmp_path / "named.toml"
    file.write_text("[search]\nsails = 1\n", encoding="utf-8")

    assert read(Ship, PROCESS, ["--config", str(file)], {}).sails == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[search]\nsales = 5\n", "[search]: sales is no setting; the nearest is sails"),
        ("[search]\nconfig = 'x'\n", "config is no setting"),
        ("[serach]\nsails = 5\n", "serach: settings stand in one of the tables [search]"),
        ("sails = 5\n", "sails: settings stand in one of the tables"),
        ("[search]\nsails = 50\n", "lookalike.toml: sails: must be a whole number from 0 to 9"),
        ("[search]\nsails = {a = 1}\n", "[search] sails: must be a text"),
        ("[search\n", "is no TOML"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(text: str, told: str, tmp_path: Path) -> None:
    assert told in refused(text, tmp_path)


def test_a_secret_of_the_file_is_not_shown(tmp_path: Path) -> None:
    assert "hunter2" not in refused("[search]\npassword = 'hunter2'\n", tmp_path)


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(SettingsInvalid, match="--config: must be a file that can be read"):
        read(Ship, PROCESS, ["--config", "/nowhere"], {})
