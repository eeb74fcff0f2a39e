"""A process that claims tasks and finishes them, or holds them, until it is killed."""

from __future__ import annotations

import sys
import time

from astra_registry.store import StateStore, Status


def hold(store: StateStore, seconds: float) -> None:
    assert store.claim(1, owner="holder", lease=seconds)
    print("claimed", flush=True)
    time.sleep(3600)


def work(store: StateStore, number: int) -> None:
    """Work for ever: whoever started this ends it."""
    while True:
        tasks = store.claim(number, lease=30)
        for task in tasks:
            time.sleep(0.0005)
            store.finish(task, Status.SUCCEEDED, duration=0.0005)
        if not tasks:
            time.sleep(0.05)


def take(store: StateStore, number: int) -> None:
    print("ready", flush=True)
    while store.claim(number, owner="taker"):
        pass
    print("taken", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    url, action, value = sys.argv[1:]
    opened = StateStore(url)
    if action == "hold":
        hold(opened, float(value))
    elif action == "take":
        take(opened, int(value))
    else:
        work(opened, int(value))
    opened.close()
