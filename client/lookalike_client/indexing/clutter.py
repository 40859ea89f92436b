"""Tells what nobody means who names a folder: bins, thumbnails, and what programs keep."""

from __future__ import annotations

from pathlib import Path

# Case does not count. Synology, QNAP, Windows, macOS archives, Linux file systems, digiKam.
_FOLDERS = frozenset(
    {"@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp", "@sharebin"}
    | {"$recycle.bin", "recycler", "system volume information", "lost+found", "__macosx"}
    | {"ipod photo cache", "thumbnail_cache"}
)
_FILES = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"}
    | {"picasa.ini", "zbthumbnail.info", "thumbnails-digikam.db", "digikam4.db"}
)
# Folders of previews that programs keep beside the pictures.
_FOLDER_ENDS = (".lrdata", ".cocatalog", ".photoscache")
# What lies in a data directory of this project: of `lookalike up`, or of its search service.
_OWN_FILES: tuple[frozenset[str], ...] = (
    frozenset({"up.lock"}),
    frozenset({"catalog.json", "lock"}),
)


def is_clutter_folder(folder: Path) -> bool:
    """Whether a folder in a folder that was named is passed over with all that it holds.

    Names that begin with a point are hidden: .git, .thumbnails, .Trash-1000, .@__thumb.
    """
    name = folder.name.casefold()
    return (
        name.startswith(".")
        or name in _FOLDERS
        or name.endswith(_FOLDER_ENDS)
        or is_own_data(folder)
    )


def is_own_data(folder: Path) -> bool:
    """Whether a folder is a data directory of this project."""
    return any(all((folder / name).is_file() for name in names) for names in _OWN_FILES)


def is_clutter_file(name: str) -> bool:
    """Whether a file in a folder is passed over: hidden ones, and those of the system."""
    return name.startswith(".") or name.casefold() in _FILES
