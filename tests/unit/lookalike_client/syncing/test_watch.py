"""When a watched folder is looked at."""

from lookalike_client.syncing.watch import MOST_QUIET_S, QUIET_S, Pause


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_changes_are_gathered_until_it_is_quiet() -> None:
    clock = Clock()
    pause = Pause(clock, rescan_s=1_000.0)

    assert not pause.is_over(changed=False, waiting=False)
    assert not pause.is_over(changed=True, waiting=False)
    clock.now_s += QUIET_S
    assert pause.is_over(changed=False, waiting=False)
    clock.now_s += 100
    assert not pause.is_over(changed=False, waiting=False)


def test_endless_changes_do_not_keep_it_from_looking() -> None:
    clock = Clock()
    pause = Pause(clock, rescan_s=1_000.0)
    looked = []
    while clock.now_s < 3 * MOST_QUIET_S:
        if pause.is_over(changed=True, waiting=False):
            looked.append(clock.now_s)
        clock.now_s += QUIET_S / 2

    assert len(looked) == 2


def test_it_looks_now_and_then_and_while_files_are_written() -> None:
    clock = Clock()
    pause = Pause(clock, rescan_s=300.0)

    clock.now_s = 299.0
    assert not pause.is_over(changed=False, waiting=False)
    assert pause.is_over(changed=False, waiting=True)
    clock.now_s = 599.0
    assert pause.is_over(changed=False, waiting=False)
