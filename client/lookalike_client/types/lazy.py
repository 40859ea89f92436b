"""Parts of what the client returns that are made when they are first read.

Who looks at ids and scores does not pay for metadata. Once made, a part is an ordinary
attribute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

# Makes the part of that name.
MakePart = Callable[[str], Any]


# A result has thousands of hits: looked up once.
_new, _keep = object.__new__, object.__setattr__


class LazyParts:
    """The base of a frozen dataclass with slots; a field that is not set is made when read."""

    __slots__ = ("_make_part",)

    @classmethod
    def with_parts(cls, make_part: MakePart, **fields: object) -> Self:
        """Return an instance that holds `fields`; `make_part` makes all others."""
        made = _new(cls)
        _keep(made, "_make_part", make_part)
        for name, value in fields.items():
            _keep(made, name, value)
        return made

    if not TYPE_CHECKING:  # a type checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            """Make a part; called only for what is not there."""
            if name not in self.__dataclass_fields__:
                message = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(message)
            value = self._make_part(name)
            object.__setattr__(self, name, value)
            return value
