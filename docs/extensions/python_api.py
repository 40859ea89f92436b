"""Holds the pages of the Python interface to what the package exports.

A name of `lookalike_client.__all__` that no page describes is a warning, which `make docs`
takes for an error.
"""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

import lookalike_client

_PACKAGE = "lookalike_client"
_log = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in a build."""
    app.connect("env-check-consistency", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _check(app: Sphinx, env: BuildEnvironment) -> None:
    described = env.domains.python_domain.objects
    for name in sorted(lookalike_client.__all__):
        exported = getattr(lookalike_client, name)
        # A class may be described where it is exported, or where it is defined.
        module, defined = (
            getattr(exported, "__module__", ""),
            getattr(exported, "__qualname__", name),
        )
        if not described.keys() & {f"{_PACKAGE}.{name}", f"{module}.{defined}"}:
            _log.warning("no page describes %s.%s", _PACKAGE, name)
