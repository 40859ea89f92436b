"""API keys: what a token looks like, what is kept of it, and the file that keeps it.

A token is `lk_ID_SECRET`. The secret is 256 random bits, so a plain SHA-256 of the token
is safe to keep: a slow derivation guards what people choose, which can be guessed, and
would cost each call what it costs a guesser. The file is JSON, made by `lookalike keys`:

    {"format": 1, "keys": [{"id": "…", "name": "web", "sha256": "…", "scopes": ["read"],
      "collections": ["*"], "tenant": {"tenant": "a"}, "calls_per_s": 50.0,
      "calls_at_once": 20, "create_time": "…", "expire_time": "…"}]}
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from lookalike.wire.errors import InvalidField

FORMAT = 1
METADATA_KEY = "authorization"
# With the answers to a key that expires: when that is, in ISO 8601.
EXPIRE_TIME_KEY = "x-api-key-expires"
_SCHEME = "Bearer "
_PREFIX = "lk"
_SECRET_BYTES = 32
_ID_BYTES = 6
_TOKEN = re.compile(r"lk_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
# Read in whole at each change: a thousand keys are 300 KB.
_MOST_FILE_BYTES = 16 << 20
_MOST_PATH_KEYS = 8
_HASH = re.compile(r"[0-9a-f]{64}")

Value: TypeAlias = str | float | bool
# Paths of metadata fields, with the values there.
Tenant: TypeAlias = tuple[tuple[tuple[str, ...], Value], ...]


class Scope(StrEnum):
    """What a key may do; a key has one or more, and none implies another."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key. `sha256` is of the whole token, in hex.

    `collections` are names in which `*` stands for any characters. `tenant` are metadata
    fields, by path, with the values that the items have which the key may see and makes;
    empty for a key without a tenant. `calls_per_s` and `calls_at_once` None set no limit.
    """

    id: str
    name: str
    sha256: str = field(repr=False)
    scopes: frozenset[Scope]
    collections: tuple[str, ...] = ("*",)
    tenant: Tenant = ()
    calls_per_s: float | None = None
    calls_at_once: int | None = None
    create_time: datetime | None = None
    expire_time: datetime | None = None

    def is_of(self, token: str) -> bool:
        """Say whether `token` is this key; takes as long for a wrong one."""
        return hmac.compare_digest(self.sha256, digest(token))

    def expired(self, now: datetime) -> bool:
        """Say whether its time is over."""
        return self.expire_time is not None and now >= self.expire_time

    @property
    def allows_all(self) -> bool:
        """Whether every collection may be used."""
        return "*" in self.collections

    def allows(self, collection: str) -> bool:
        """Say whether a collection of that name, or alias, may be used."""
        return any(matches(pattern, collection) for pattern in self.collections)


def new_token() -> tuple[str, str]:
    """Return a new key: its id, and the token, which is kept nowhere."""
    key_id = secrets.token_hex(_ID_BYTES)
    return key_id, f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def id_of(token: str) -> str | None:
    """Return the id of a token; None for what is no token."""
    match = _TOKEN.fullmatch(token)
    return None if match is None else match[1]


def digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def header(token: str) -> tuple[str, str]:
    """Return the metadata of a call that carries a token."""
    return METADATA_KEY, _SCHEME + token


def token_in(value: str) -> str | None:
    """Return the token of a call's metadata; None where there is none."""
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == _SCHEME.strip().lower() else None


def matches(pattern: str, name: str) -> bool:
    """Say whether a name fits a pattern, in which `*` stands for any characters."""
    expression = ".*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(expression, name, re.DOTALL) is not None


def read(path: Path) -> tuple[KeyRecord, ...]:
    """Return the keys of a file.

    Raises:
        InvalidField: it cannot be read, or has another form; no secret is in the message.
    """
    try:
        if path.stat().st_size > _MOST_FILE_BYTES:
            raise _invalid(path, "is too large to be one of keys")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise _invalid(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _invalid(path, "is no JSON") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _invalid(path, f"is no file of keys of format {FORMAT}; `lookalike keys` makes one")
    listed = content.get("keys")
    if not isinstance(listed, list):
        raise _invalid(path, "has no list of keys")
    records = [_record(path, place, each) for place, each in enumerate(listed)]
    if len({record.id for record in records}) < len(records):
        raise _invalid(path, "has two keys of one id")
    return tuple(records)


def write(path: Path, records: Sequence[KeyRecord]) -> None:
    """Put the keys into a file that its owner alone can read, at once or not at all.

    Raises:
        OSError: it cannot be written.
    """
    content = {"format": FORMAT, "keys": [_json(record) for record in records]}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_tenant(given: Mapping[str, object]) -> Tenant:
    """Return a tenant's fields from their paths and values.

    Raises:
        InvalidField: a path or a value has another form.
    """
    fields: list[tuple[tuple[str, ...], Value]] = []
    for path, value in sorted(given.items()):
        keys = tuple(path.split("."))
        if not all(keys) or len(keys) > _MOST_PATH_KEYS:
            raise InvalidField("tenant", f'"{path}" is no path of a metadata field')
        if not isinstance(value, str | int | float | bool):
            raise InvalidField("tenant", f'the value of "{path}" is no text, number or true/false')
        fields.append((keys, float(value) if type(value) is int else value))
    for keys, _ in fields:
        if any(other != keys and other[: len(keys)] == keys for other, _ in fields):
            raise InvalidField("tenant", f'"{".".join(keys)}" is also the beginning of another')
    return tuple(fields)


def _record(path: Path, place: int, said: Any) -> KeyRecord:
    where = f"keys[{place}]"
    if not isinstance(said, dict) or set(said) - _NAMES:
        raise _invalid(path, f"{where} is no key, or has a field that is not known")
    if not (isinstance(said.get("id"), str) and _HASH.fullmatch(str(said.get("sha256")))):
        raise _invalid(path, f"{where} has no id or no hash")
    collections = said.get("collections", ["*"])
    if not (_texts(collections) and _texts(said.get("scopes")) and said["scopes"]):
        raise _invalid(path, f"{where}: scopes and collections are lists of texts")
    tenant = said.get("tenant", {})
    try:
        return KeyRecord(
            id=said["id"],
            name=str(said.get("name", "")),
            sha256=said["sha256"],
            scopes=frozenset(map(Scope, said["scopes"])),
            collections=tuple(collections),
            tenant=read_tenant(tenant if isinstance(tenant, dict) else {"": None}),
            calls_per_s=_limit(said.get("calls_per_s")),
            calls_at_once=None
            if (most := _limit(said.get("calls_at_once"))) is None
            else int(most),
            create_time=_time(said.get("create_time")),
            expire_time=_time(said.get("expire_time")),
        )
    except (ValueError, TypeError, InvalidField) as error:
        raise _invalid(path, f"{where}: {error}") from error


_NAMES = frozenset(KeyRecord.__dataclass_fields__)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _limit(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError("a limit is a number above 0")
    return float(value)


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    time = datetime.fromisoformat(str(value))
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _json(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "name": record.name,
        "sha256": record.sha256,
        "scopes": sorted(record.scopes),
        "collections": list(record.collections),
        "tenant": {".".join(path): value for path, value in record.tenant},
        "calls_per_s": record.calls_per_s,
        "calls_at_once": record.calls_at_once,
        "create_time": _text(record.create_time),
        "expire_time": _text(record.expire_time),
    }


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat(timespec="seconds")


def _invalid(path: Path, message: str) -> InvalidField:
    return InvalidField("keys_file", f"{path} {message}")
