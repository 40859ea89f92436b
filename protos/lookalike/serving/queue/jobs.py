"""Names of jobs in the queue: a tenant's are kept apart from those of others.

A tenant's mutations all have one: its mark, ":", and the name that the tenant gave, which
may be empty. No caller's own name holds a ":".
"""

from __future__ import annotations

_MARK_ENDS = ":"
# In no id: what has control characters is refused.
_ID_BEGINS = "\x1f"


def named(tenant: str, job_id: str) -> str:
    """Return a job's name in the queue; `tenant` is the mark of one, or empty."""
    return f"{tenant}{_MARK_ENDS}{job_id}" if tenant else job_id


def shown(tenant: str, name: str) -> str:
    """Return how a job is called to a caller of `tenant`, or to one without."""
    return name.removeprefix(f"{tenant}{_MARK_ENDS}") if tenant else name


def belongs(tenant: str, name: str) -> bool:
    """Say whether a caller of `tenant` may see a job; one without sees all."""
    return not tenant or name.startswith(f"{tenant}{_MARK_ENDS}")


def followed(name: str) -> bool:
    """Say whether a job's outcomes are kept: it was given a name."""
    return bool(name) and not name.endswith(_MARK_ENDS)


def tenant_of(name: str) -> str:
    """Return the mark of the tenant whose job it is; "" for nobody's."""
    mark, ends, _ = name.partition(_MARK_ENDS)
    return mark if ends else ""


def names_of(tenant: str) -> tuple[str, str]:
    """Return the first name of a tenant's, and the first past all of them."""
    return f"{tenant}{_MARK_ENDS}", f"{tenant}{chr(ord(_MARK_ENDS) + 1)}"


def item_of(name: str, item_id: str) -> str:
    """Return what an item's failures are looked up by: apart for each tenant, since two may
    have tried the same id. `endings` makes the same of what is listed."""
    mark = tenant_of(name)
    return f"{mark}{_ID_BEGINS}{item_id}" if mark else item_id
