"""Which small databases may lie beside a collection's store."""

from __future__ import annotations

from collections.abc import Mapping

from search_service.store import known_hashes, reviews
from search_service.store.side_file import SideFile

SIDE_FILES: Mapping[str, SideFile] = {file.name: file for file in (reviews.FILE, known_hashes.FILE)}
