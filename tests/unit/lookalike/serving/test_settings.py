"""What is declared once is read from options and variables, and a bad value is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from lookalike.serving.settings.declared import group, options_of, setting
from lookalike.serving.settings.reading import Process, SettingsInvalid, read, refuse
from lookalike.wire.errors import InvalidField

PROCESS = Process("SEARCH", "ship", "A ship.")


@dataclass(frozen=True, kw_only=True)
class Cargo:
    tonnes: int = setting("weight of the cargo", least=1)
    crates: tuple[str, ...] = setting("names of crates", ("apples", "pears"))


@dataclass(frozen=True, kw_only=True)
class Deck:
    rails: bool = setting("put up rails", True)


@dataclass(frozen=True, kw_only=True)
class Ship:
    name: str = setting("name of the ship")
    sails: int = setting("sails to set", 3, least=0, most=9)
    draught_m: float = setting("depth under water, in metres", 2.5, least=0, most=20)
    anchored: bool = setting("lie at anchor", False)
    rig: str = setting("kind of rig", "sloop", choices=("sloop", "ketch"))
    log: Path | None = setting("file of the log", None)
    chart: Path | None = setting("file of the chart", None, must_exist=True)
    crew: tuple[str, ...] = setting("names of the crew", ())
    holds: tuple[Path, ...] = setting("folders of cargo", ())
    berth: int | None = setting("number of the berth", None, least=0, most=99)
    password: str = setting("word of the watch", "open", secret=True, choices=("open", "sesame"))
    deck: Deck = group(Deck())
    cargo: Cargo | None = group(None)


def load(*arguments: str, **variables: str) -> Ship:
    environ = {f"LOOKALIKE_SEARCH_{name.upper()}": text for name, text in variables.items()}
    return read(Ship, PROCESS, ["--name", "Argo", *arguments], environ)


def refused(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        read(Ship, PROCESS, arguments, environ)
    return str(caught.value)


def test_what_is_not_given_has_its_default() -> None:
    assert load() == Ship(name="Argo")
    assert load().cargo is None
    assert load().deck == Deck(rails=True)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("sails", "0", 0),
        ("sails", "9", 9),
        ("draught_m", "20", 20.0),
        ("draught_m", "1e-3", 0.001),
        ("anchored", "true", True),
        ("anchored", "1", True),
        ("anchored", "FALSE", False),
        ("rig", "ketch", "ketch"),
        ("log", "a/b", Path("a/b")),
        ("crew", "Ann, Bo,,", ("Ann", "Bo")),
        ("holds", "/a,/b", (Path("/a"), Path("/b"))),
        ("berth", "7", 7),
    ],
)
def test_each_kind_is_read_from_its_option_and_its_variable(
    name: str, text: str, value: object
) -> None:
    by_option = load(f"--{name.replace('_', '-')}", text)
    by_variable = load(**{name: text})

    assert getattr(by_option, name) == value
    assert type(getattr(by_option, name)) is type(value)
    assert by_variable == by_option


def test_a_file_that_must_exist_is_read(tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    chart.touch()

    assert load("--chart", str(chart)).chart == chart


def test_an_option_outranks_its_variable() -> None:
    assert load("--sails", "2", sails="5").sails == 2
    assert load("--crew", "Ann", crew="Bo,Cy").crew == ("Ann",)
    assert load("--anchored=false", anchored="true").anchored is False
    # What the option outranks is not looked at.
    assert load("--sails", "2", sails="many").sails == 2


def test_a_switch_may_stand_alone() -> None:
    assert load("--anchored", "--sails", "1").anchored is True


def test_an_option_of_a_list_may_be_repeated() -> None:
    assert load("--crew", "Ann,Bo", "--crew", "Cy").crew == ("Ann", "Bo", "Cy")
    assert load("--sails", "1", "--sails", "2").sails == 2


def test_an_empty_variable_is_not_set_and_an_empty_option_is_the_default() -> None:
    assert load(sails="", anchored="") == Ship(name="Argo")
    assert load("--sails", "", sails="5").sails == 3
    assert load("--berth", "", berth="5").berth is None


def test_a_group_is_there_once_what_it_needs_is_given() -> None:
    assert load("--tonnes", "4").cargo == Cargo(tonnes=4)
    assert load("--crates", "figs", "--tonnes", "4").cargo == Cargo(tonnes=4, crates=("figs",))
    assert load("--crates", "figs").cargo is None
    assert load("--rails", "false").deck == Deck(rails=False)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("sails", "1.5", "must be a whole number from 0 to 9, got '1.5'"),
        ("sails", "many", "must be a whole number from 0 to 9, got 'many'"),
        ("sails", "-1", "must be a whole number from 0 to 9, got '-1'"),
        ("sails", "10", "must be a whole number from 0 to 9, got '10'"),
        ("draught_m", "nan", "must be a number from 0 to 20, got 'nan'"),
        ("draught_m", "inf", "must be a number from 0 to 20, got 'inf'"),
        ("anchored", "maybe", "must be true or false, got 'maybe'"),
        ("rig", "barque", "must be one of sloop, ketch, got 'barque'"),
        ("chart", "/nowhere", "must be a file that can be read, got '/nowhere'"),
        ("tonnes", "0", "must be a whole number of at least 1, got '0'"),
        ("sails", "9" * 5_000, f"must be a whole number from 0 to 9, got '{'9' * 80}…'"),
    ],
)
def test_a_bad_value_is_told_with_where_it_was_given(name: str, text: str, told: str) -> None:
    flag, variable = f"--{name.replace('_', '-')}", f"LOOKALIKE_SEARCH_{name.upper()}"

    assert refused(["--name", "Argo", flag, text], {}) == f"{flag}: {told}"
    assert refused(["--name", "Argo"], {variable: text}) == f"{variable}: {told}"


def test_what_is_needed_is_asked_for() -> None:
    told = "--name or LOOKALIKE_SEARCH_NAME is needed: name of the ship"

    assert refused([], {}) == told
    assert refused(["--name", ""], {"LOOKALIKE_SEARCH_NAME": "Argo"}) == told


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("LOOKALIKE_SEARCH_SALES", "LOOKALIKE_SEARCH_SAILS"),
        ("LOOKALIKE_SAERCH_SAILS", "LOOKALIKE_SEARCH_SAILS"),
        ("LOOKALIKE_ADRESS", "LOOKALIKE_ADDRESS"),
        ("LOOKALIKE_SEARCH_TONES", "LOOKALIKE_SEARCH_TONNES"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    told = refused(["--name", "Argo"], {name: "hush"})

    assert told == f"{name}: there is no such setting; the nearest is {nearest}"


def test_variables_of_others_are_left_alone() -> None:
    environ = {
        "LOOKALIKE_WORKER_ANYTHING": "1",
        "LOOKALIKE_EMBEDDER_PORT": "x",
        "LOOKALIKE_ADDRESS": "h:1",
        "LOOKALIKE_TLS_KEY": "k",
        "LOOKALIKE_USE_PROXY": "1",
        "LOOKALIKE_SYNC_STATE": "/var/lib/sync.sqlite",
        "LOOKALIKE_WEB_TOKEN": "secret",
        "LOOKALIKES": "2",
        "PATH": "/bin",
    }

    assert read(Ship, PROCESS, ["--name", "Argo"], environ) == Ship(name="Argo")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--sales", "1"], "--sales: there is no such option; the nearest is --sails"),
        (["--pasword=hush"], "--pasword: there is no such option; the nearest is --password"),
        (["--sail", "1"], "--sail: there is no such option; the nearest is --sails"),
        (["--sails"], "--sails: expected one argument"),
        (["hush"], "there is an argument without an option: write --OPTION VALUE"),
    ],
)
def test_an_unknown_option_is_refused(arguments: list[str], told: str) -> None:
    assert refused(["--name", "Argo", *arguments], {}) == told


def test_a_secret_is_not_shown() -> None:
    assert "sesame" not in repr(load("--password", "sesame"))
    assert load("--password", "sesame").password == "sesame"
    for arguments, environ in (
        (["--password", "hush"], {}),
        ([], {"LOOKALIKE_SEARCH_PASSWORD": "hush"}),
    ):
        told = refused(["--name", "Argo", *arguments], environ)
        assert "PASSWORD" in told.upper()
        assert "hush" not in told


def test_a_refusal_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert refuse(PROCESS, SettingsInvalid("--sails:\nmust be\tfew")) == 2
    assert refuse(PROCESS, InvalidField("sails", "must be few")) == 2

    assert capsys.readouterr().err == "ship: --sails: must be few\n" * 2


def test_help_explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load("--help")

    shown = " ".join(capsys.readouterr().out.split())
    assert caught.value.code == 0
    for option in options_of(Ship):
        assert option.flag in shown
        assert option.rules.help in shown
    assert "sails to set (default: 3)" in shown
    assert "name of the ship (needed)" in shown
    assert "names of crates (default: apples,pears)" in shown


def test_settings_that_cannot_be_read_are_not_declared() -> None:
    @dataclass(frozen=True)
    class Odd:
        tide: complex = setting("tide", 0j)

    @dataclass(frozen=True)
    class Twice:
        rails: bool = setting("rails of another deck", False)
        deck: Deck = group(Deck())

    with pytest.raises(TypeError, match="tide"):
        options_of(Odd)
    with pytest.raises(TypeError, match="rails"):
        options_of(Twice)
