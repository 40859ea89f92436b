"""Files that hold what is worth having: images, vectors, metadata."""

from __future__ import annotations

import os

# Nothing for others; the group may read, as volumes of Kubernetes are given to one.
_FOR_OTHERS = 0o027


def keep_from_others() -> None:
    """Have what this process and its children make from now on be nothing for other users.

    Whoever has said to make files more private yet is heeded.
    """
    os.umask(os.umask(0o077) | _FOR_OTHERS)
