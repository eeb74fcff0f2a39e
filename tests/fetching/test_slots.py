"""Who waits for a place at a server gets one in its turn, and what others wait for goes before."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from astra_registry.fetching.transports.http.slots import Slots

LONG = 30.0  # seconds


class Queue:
    """Threads that wait for a place, and the order in which they got it."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.served: list[str] = []
        self._threads: list[threading.Thread] = []

    def join(self, name: str, *, ahead: bool = False) -> None:
        """Have another one wait; it holds its place only for as long as it takes to say so."""

        def wait() -> None:
            self.slots.acquire(ahead=ahead)
            self.served.append(name)
            self.slots.release()

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        self._threads.append(thread)
        until = time.monotonic() + LONG
        while self.slots.waiting < len(self._threads) and time.monotonic() < until:
            time.sleep(0.001)

    def end(self) -> list[str]:
        for thread in self._threads:
            thread.join(LONG)
        return self.served


def test_places_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    slots = Slots(1)
    slots.acquire()
    queue = Queue(slots)
    for name in "abcd":
        queue.join(name)

    slots.release()

    assert queue.end() == list("abcd")
    assert slots.free == 1


def test_who_is_waited_for_goes_ahead() -> None:
    slots = Slots(1)
    slots.acquire()
    queue = Queue(slots)
    queue.join("file")
    queue.join("listing", ahead=True)
    queue.join("another listing", ahead=True)

    slots.release()

    assert queue.end() == ["listing", "another listing", "file"]


def test_no_more_than_so_many_have_a_place_at_once() -> None:
    slots = Slots(3)
    lock = threading.Lock()
    now, most = 0, 0

    def hold() -> None:
        nonlocal now, most
        for _ in range(50):
            slots.acquire(ahead=threading.get_ident() % 2 == 0)
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.0001)
            with lock:
                now -= 1
            slots.release()

    threads = [threading.Thread(target=hold) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == 3
    assert slots.free == 3


def test_who_does_not_wait_has_a_place_or_none_at_once() -> None:
    slots = Slots(1)

    assert slots.acquire_free()
    assert not slots.acquire_free()
    slots.release()
    assert slots.acquire_free()


def test_an_interrupted_wait_leaves_the_place_to_others() -> None:
    slots = Slots(1)
    slots.acquire()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            slots.acquire()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    slots.release()

    assert (slots.waiting, slots.free) == (0, 1)
