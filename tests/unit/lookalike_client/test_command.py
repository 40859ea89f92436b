"""The `lookalike` command where its packages are not installed."""

import subprocess
import sys

import pytest

# Finds no module of the extra, as where it is not installed.
_WITHOUT = """
import sys
from importlib.abc import MetaPathFinder


class Hidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None


sys.meta_path.insert(0, Hidden())
from lookalike_client.__main__ import main

sys.argv = ["lookalike", "version"]
main()
"""


def run_without(hidden: str) -> subprocess.CompletedProcess[str]:
    program = _WITHOUT.format(hidden=hidden)
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("hidden", ["click", "rich"])
def test_without_the_extra_one_line_says_what_to_install(hidden: str) -> None:
    ended = run_without(hidden)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        f"error: the command line needs {hidden}: pip install 'lookalike[client]'"
    ]


def test_another_missing_module_is_a_fault_and_shown_as_one() -> None:
    assert "No module named 'grpc" in run_without("grpc").stderr


def test_with_the_extra_the_command_runs() -> None:
    ended = run_without("no_such_package")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "lookalike" in ended.stdout
