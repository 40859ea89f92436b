"""A supervised process: started, restarted, given up, stopped."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike_client.supervisor.child import MOST_FAILED_STARTS, TRY_FOR_S, Child, ChildSpec
from lookalike_client.supervisor.errors import StartError
from tests.unit.lookalike_client.supervisor.waiting import eventually

SERVES = 'import time; print(\'{"event": "serving"}\', flush=True); time.sleep(600)'
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    'print(\'{"event": "serving"}\', flush=True); time.sleep(600)'
)
WITH_A_CHILD = (
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    'print(child.pid); print(\'{"event": "serving"}\', flush=True); time.sleep(600)'
)

Make = Callable[..., Child]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes children that do not outlive the test."""
    made: list[Child] = []

    def one(program: str, grace_s: float = 10.0, **more: float) -> Child:
        command = [sys.executable, "-c", program]
        spec = ChildSpec("part", command, grace_s=grace_s, **more)  # type: ignore[arg-type]  # numbers only
        child = Child(spec, tmp_path, lambda line: None)
        made.append(child)
        return child

    yield one
    for child in made:
        child.terminate()
        child.wait_stopped()


def step_until(child: Child, holds: Callable[[], bool], within_s: float = 20) -> None:
    def stepped() -> bool:
        child.step()
        return holds()

    eventually(stepped, within_s)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_it_is_ready_when_it_says_so(make: Make) -> None:
    child = make(SERVES)

    step_until(child, lambda: child.ready)

    assert child.pid is not None
    assert running(child.pid)


def test_a_killed_child_is_started_again(make: Make) -> None:
    child = make(SERVES)
    step_until(child, lambda: child.ready)
    first = child.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    step_until(child, lambda: child.pid not in (first, None) and child.ready)

    assert not running(first)


def test_one_that_never_starts_is_given_up_with_its_last_words(make: Make) -> None:
    child = make("import sys; print('cannot find the model', file=sys.stderr); sys.exit(7)")

    with pytest.raises(StartError) as given_up:
        step_until(child, lambda: False)

    assert f"ended with code 7 {MOST_FAILED_STARTS} times" in given_up.value.message
    assert "cannot find the model" in given_up.value.message
    assert child.pid is None


def test_one_that_needs_long_to_fail_is_not_tried_again_and_again(
    make: Make, tmp_path: Path
) -> None:
    """As a model that is looked for on a network that is not there."""
    slow = "import pathlib, time; pathlib.Path('{}').open('a').write('x'); time.sleep({})"
    program = slow.format(tmp_path / "starts", TRY_FOR_S + 1)
    child = make(program + "; print('no network'); print('no weights'); raise SystemExit(1)")

    with pytest.raises(StartError) as given_up:
        step_until(child, lambda: False, within_s=60)

    assert (tmp_path / "starts").read_text() == "x"
    assert given_up.value.message == (
        "part ended with code 1 before it was ready; its log ends: no network | no weights"
    )


def test_one_whose_settings_cannot_work_is_not_tried_again(make: Make) -> None:
    child = make("import sys; print('error: no such precision here'); sys.exit(2)")

    with pytest.raises(StartError, match=r"^part cannot start so: error: no such precision here$"):
        step_until(child, lambda: False)

    assert child.pid is None


def test_one_that_is_never_ready_is_given_up(make: Make) -> None:
    child = make("import time; print('loading', flush=True); time.sleep(600)", ready_within_s=0.5)

    with pytest.raises(StartError, match="not ready within"):
        step_until(child, lambda: False)


def test_one_that_does_not_stop_is_killed(make: Make) -> None:
    child = make(STUBBORN, grace_s=0.3)
    step_until(child, lambda: child.ready)
    pid = child.pid
    assert pid is not None

    child.terminate()
    child.wait_stopped()

    assert child.pid is None
    assert not running(pid)


def test_what_a_killed_child_leaves_behind_is_killed_too(make: Make, tmp_path: Path) -> None:
    child = make(WITH_A_CHILD)
    step_until(child, lambda: child.ready)
    pid = child.pid
    assert pid is not None
    below = int((tmp_path / "part.log").read_text().split()[0])
    assert running(below)

    os.kill(pid, signal.SIGKILL)
    step_until(child, lambda: child.pid != pid)

    eventually(lambda: not running(below))
