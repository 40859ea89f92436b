"""What an examination of a deployment finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing; `advice` says what to change, empty where nothing is."""

    level: Level
    about: str
    text: str
    advice: str = ""
