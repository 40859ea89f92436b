"""The `lookalike` command, also as `python -m lookalike_client`."""

from __future__ import annotations

import sys

# What the extra `client` brings, by the names of the modules.
_OF_THE_EXTRA = frozenset({"click", "rich", "PIL"})
_EXIT_USAGE = 2


def main() -> None:
    """Run the command line of this process and exit."""
    try:
        from lookalike_client.cli.main import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_THE_EXTRA:
            raise
        sys.stderr.write(
            f"error: the command line needs {error.name}: pip install 'lookalike[client]'\n"
        )
        sys.exit(_EXIT_USAGE)
    run()


if __name__ == "__main__":
    main()
