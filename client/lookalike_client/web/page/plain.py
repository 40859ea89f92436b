"""Results of the SDK as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import datetime

from lookalike.wire.errors import LookalikeError
from lookalike_client.web.answers import told


def plain(value: object) -> object:
    """Return `value` as what JSON can hold; bytes are left out, as None."""
    match value:
        case LookalikeError():
            return told(value)
        case bytes():
            return None
        case datetime():
            return value.isoformat()
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = (each.name for each in dataclasses.fields(value))
            return {name: plain(getattr(value, name)) for name in names}
        case _:
            return value
