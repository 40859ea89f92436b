"""What a caller must name can be imported from the package itself."""

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

import lookalike_client
from lookalike.wire import errors as wire_errors
from lookalike_client import errors, types
from lookalike_client.calls import Patience
from lookalike_client.types import metadata

OURS = ("lookalike_client", "lookalike.wire")
EXPORTED = {name: getattr(lookalike_client, name) for name in lookalike_client.__all__}
CLASSES = [each for each in EXPORTED.values() if inspect.isclass(each)]


def unexported(kind: type) -> set[type]:
    """Types of ours that what is public of `kind` takes, returns or holds, and that are not out."""
    found: set[type] = set()
    _collect(kind, found)
    return {each for each in found if EXPORTED.get(each.__name__) is not each}


def _collect(kind: type, found: set[type]) -> None:
    if kind in found:
        return
    found.add(kind)
    for annotation in _annotations(kind):
        for each in _parts(annotation):
            if inspect.isclass(each) and each.__module__.startswith(OURS):
                _collect(each, found)


def _annotations(kind: type) -> Iterator[Any]:
    if dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
        yield from _hints(kind)
    for name, member in inspect.getmembers(kind):
        if not name.startswith("_"):
            function = member.fget if isinstance(member, property) else member
            if inspect.isfunction(function) or inspect.ismethod(function):
                yield from _hints(function)
    if inspect.isfunction(kind.__init__) and not dataclasses.is_dataclass(kind):  # type: ignore[misc]  # of a class, on purpose
        yield from _hints(kind.__init__)  # type: ignore[misc]


def _hints(owner: Any) -> list[Any]:
    return list(typing.get_type_hints(owner, localns=vars(metadata)).values())


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for each in typing.get_args(annotation):
        yield from _parts(each)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_what_a_public_type_speaks_of_is_exported(kind: type) -> None:
    assert unexported(kind) == set()


def test_the_search_for_types_goes_deep() -> None:
    class Planted:
        def returns(self) -> "dict[str, list[Patience] | None]":
            raise NotImplementedError

    assert Patience in unexported(Planted)
    reached: set[type] = set()
    for kind in (lookalike_client.AsyncClient, lookalike_client.Collections):
        _collect(kind, reached)
    assert {types.NearDuplicate, types.WorkerStatus, types.IndexSettings} <= reached
    assert {lookalike_client.SearchOptions, errors.LookalikeError} <= reached


def test_every_result_and_error_is_exported() -> None:
    kinds = {
        name
        for name, each in vars(wire_errors).items()
        if inspect.isclass(each) and each.__module__ == wire_errors.__name__
    }
    assert kinds == set(errors.__all__)
    assert set(errors.__all__) | set(types.__all__) <= EXPORTED.keys()


def test_every_name_is_there_once() -> None:
    assert len(set(lookalike_client.__all__)) == len(lookalike_client.__all__)
    assert all(hasattr(lookalike_client, name) for name in lookalike_client.__all__)


@pytest.mark.parametrize("package", ["lookalike", "lookalike_client"])
def test_type_checkers_are_told_of_the_types(package: str) -> None:
    assert resources.files(package).joinpath("py.typed").is_file()
