"""What a decoder raises that is given a damaged file."""

from __future__ import annotations

# What Pillow raised on 8,373 hostile files, and what its parsers raise on
# fields that point outside the file.
DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    RuntimeError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
)
