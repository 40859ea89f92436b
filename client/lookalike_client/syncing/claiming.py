"""Claims what `lookalike index` sends of folders, so that `lookalike sync` knows it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lookalike_client.indexing.scan import FileEntry
from lookalike_client.syncing.state import Claim, FolderState, State


class Claiming:
    """Claims images for the folder that each was found in.

    Files that were named alone are nobody's, and what another folder claims stays its own.
    """

    def __init__(
        self,
        state: State,
        collection_uid: str,
        prefix: str,
        folders: Iterable[Path],
        files: Sequence[FileEntry],
    ) -> None:
        self.error = ""
        self._folders = {
            folder: state.folder(collection_uid, folder.resolve(), prefix) for folder in folders
        }
        self._files = {file.id: file for file in files if file.root in self._folders}
        self._known = {folder: known.claims() for folder, known in self._folders.items()}

    def claim(self, hashes: Mapping[str, str]) -> None:
        """Claim images by id, with the hashes of their files, before they are sent.

        Where the state cannot be written, they are sent all the same: `error` says why.
        """
        try:
            self._claim(hashes)
        except sqlite3.Error as error:
            self.error = str(error)

    def _claim(self, hashes: Mapping[str, str]) -> None:
        for folder, known in self._folders.items():
            mine = [each for each in hashes if each in self._files]
            mine = [each for each in mine if self._files[each].root == folder]
            others = known.of_others(mine)
            self._add(folder, known, [each for each in mine if each not in others], hashes)

    def _add(
        self, folder: Path, known: FolderState, ids: Sequence[str], hashes: Mapping[str, str]
    ) -> None:
        if not ids:
            return
        if known.is_new:
            known.remember(is_mount=os.path.ismount(folder))
        device = folder.stat().st_dev
        claims = []
        for item_id in ids:
            file, before = self._files[item_id], self._known[folder].get(item_id)
            earlier = "" if before is None else before.sha256 if before.stored else before.earlier
            nested = _device(file.path, device) != device
            claims.append(
                Claim(item_id, file.key, hashes[item_id], earlier, stored=False, is_nested=nested)
            )
        known.claim(claims)


def _device(path: Path, otherwise: int) -> int:
    try:
        return path.stat().st_dev
    except OSError:
        return otherwise
