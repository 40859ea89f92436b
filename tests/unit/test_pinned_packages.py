"""The pins suit every Python that we allow, and those that are set up have hashes."""

import re
import tomllib
from importlib import metadata

from packaging.specifiers import SpecifierSet

from deploy.update_constraints import CONSTRAINTS, LOCKED, pins, set_up_extras
from tests.sources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


INSTALLED = {
    _plain(one.metadata["Name"]): one.metadata["Requires-Python"]
    for one in metadata.distributions()
}


def test_what_is_pinned_suits_the_oldest_python_that_we_allow() -> None:
    (oldest,) = re.findall(r">=(3\.\d+)", PROJECT["requires-python"])
    asked = {
        name: (INSTALLED[name] or "")
        for name in pins(CONSTRAINTS.read_text(encoding="utf-8"))
        if name in INSTALLED
    }

    assert len(asked) > 100
    refusing = [name for name, needs in asked.items() if f"{oldest}.0" not in SpecifierSet(needs)]
    assert refusing == []


def test_what_is_set_up_is_locked_by_hash_at_its_pinned_version() -> None:
    text = LOCKED.read_text(encoding="utf-8")
    locked = pins(text)
    hashes = re.findall(r"^[\w.-]+==\S+.*\\\n +--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    pinned = pins(CONSTRAINTS.read_text(encoding="utf-8"))

    assert len(hashes) == len(locked) > 100
    assert {name: pinned.get(name) for name in locked} == locked


def test_each_extra_that_is_set_up_is_in_the_lock() -> None:
    extras = PROJECT["optional-dependencies"]
    locked = {_plain(name) for name in pins(LOCKED.read_text(encoding="utf-8"))}
    direct = {
        _plain(re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0])
        for extra in set_up_extras()
        for requirement in [*PROJECT["dependencies"], *extras[extra]]
    }

    assert direct - locked <= {"torch", "torchvision", "lookalike"}
