"""Looks that others ask for."""

from __future__ import annotations

import threading

from search_service.cluster.looks import Looks


def test_who_asks_has_one_that_began_after() -> None:
    looks, seen, stop = Looks(), [0], threading.Event()

    def look() -> None:
        while not stop.is_set():
            with looks.next(60):
                seen[0] += 1

    thread = threading.Thread(target=look)
    thread.start()
    looks.ask(10)
    assert seen[0] == 1
    looks.ask(10)
    assert seen[0] == 2
    stop.set()
    looks.ask(0)
    thread.join(10)
    assert not thread.is_alive()


def test_one_that_lasts_is_not_waited_for() -> None:
    looks, begun, go_on = Looks(), threading.Event(), threading.Event()

    def look() -> None:
        with looks.next(0):
            begun.set()
            go_on.wait(60)

    thread = threading.Thread(target=look)
    thread.start()
    assert begun.wait(60)
    looks.ask(0.01)
    assert thread.is_alive()
    go_on.set()
    thread.join(10)


def test_those_who_ask_again_and_again_are_not_kept() -> None:
    looks = Looks(ask_every_s=3600)
    looks.ask(0.01)  # nobody looks
    looks.ask(3600)
