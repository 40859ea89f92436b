"""API keys: what is kept of them, and where they are never seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lookalike.wire import keys
from lookalike.wire.channel import ChannelOptions, sync_channel
from lookalike.wire.errors import InvalidField
from lookalike.wire.keys import KeyRecord, Scope
from lookalike.wire.tokens import GivenToken, TokenFile


def made(**fields: Any) -> tuple[KeyRecord, str]:
    key_id, token = keys.new_token()
    given: dict[str, Any] = {"name": "web", "scopes": frozenset({Scope.READ}), **fields}
    return KeyRecord(id=key_id, sha256=keys.digest(token), **given), token


def test_a_file_gives_back_what_it_was_given(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    whole, _ = made(
        scopes=frozenset(Scope),
        collections=("shop-*", "photos"),
        tenant=keys.read_tenant({"owner.tenant": "a", "public": True, "year": 2}),
        calls_per_s=2.5,
        calls_at_once=3,
        create_time=now,
        expire_time=now + timedelta(days=1),
    )
    plain, _ = made()
    path = tmp_path / "keys.json"

    keys.write(path, [whole, plain])

    assert keys.read(path) == (whole, plain)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["keys.json"]


def test_a_token_is_known_by_its_hash_and_shown_nowhere(tmp_path: Path) -> None:
    record, token = made()
    _, other = made()
    keys.write(tmp_path / "keys.json", [record])
    (tmp_path / "token").write_text(f"{token}\n")
    options = ChannelOptions(token=GivenToken(token))

    assert record.is_of(token)
    assert not record.is_of(other)
    assert keys.id_of(token) == record.id
    secret = token.split("_", 2)[2]
    shown = f"{record!r} {options!r} {GivenToken(token)} {TokenFile(tmp_path / 'token')!r}"
    assert secret not in shown + (tmp_path / "keys.json").read_text()
    assert record.sha256 not in shown


@pytest.mark.parametrize("text", ["", "lk_", "Bearer x", "lk_0123456789ab_short", "ä" * 59])
def test_what_is_no_token_has_no_id(text: str) -> None:
    assert keys.id_of(text) is None


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*", "photos", True),
        ("shop-*", "shop-1", True),
        ("shop-*", "shop", False),
        ("photos", "photos-2", False),
        ("a.c", "abc", False),
        ("*-live", "shop-live", True),
        ("[ab]", "a", False),
    ],
)
def test_a_star_stands_for_any_characters(pattern: str, name: str, fits: bool) -> None:
    assert keys.matches(pattern, name) == fits


CHANGES: tuple[dict[str, Any], ...] = (
    {"scopes": ["root"]},
    {"scopes": []},
    {"scopes": "read"},
    {"sha256": "x"},
    {"tenant": "a"},
    {"tenant": {"a": []}},
    {"tenant": {"a": "x", "a.b": "y"}},
    {"calls_per_s": 0},
    {"calls_per_s": True},
    {"expire_time": "soon"},
    {"colections": ["a"]},
)
GOOD: dict[str, Any] = {"id": "a", "sha256": "0" * 64, "scopes": ["read"]}


@pytest.mark.parametrize(
    "content",
    [
        "nothing",
        "[]",
        '{"format": 2, "keys": []}',
        '{"format": 1}',
        *(json.dumps({"format": 1, "keys": [{**GOOD, **change}]}) for change in CHANGES),
        json.dumps({"format": 1, "keys": [GOOD, GOOD]}),
    ],
)
def test_a_file_that_could_mean_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)

    with pytest.raises(InvalidField, match=r"keys\.json"):
        keys.read(path)


def test_a_token_does_not_travel_in_the_clear() -> None:
    token = GivenToken("lk_x")
    with pytest.raises(InvalidField, match="in the clear"):
        sync_channel("search.example:50051", ChannelOptions(token=token))
    sync_channel("127.0.0.1:1", ChannelOptions(token=token)).close()


@pytest.mark.parametrize("text", ["", "a b", "ä", "a\nb", "\x00"])
def test_what_no_call_can_carry_is_no_token(text: str) -> None:
    with pytest.raises(InvalidField, match="no API key"):
        GivenToken(text)


def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    now_s = 0.0
    path = tmp_path / "token"
    path.write_text("one\n")
    token = TokenFile(path, lambda: now_s)

    path.write_text("two")
    assert token.text() == "one"
    now_s = 2.0
    assert token.text() == "two"
    path.unlink()
    now_s = 4.0
    assert token.text() == "two"
