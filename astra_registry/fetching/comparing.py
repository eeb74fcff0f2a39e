"""Which files of a run are compared with the sha1 that their server lists: all, none, or where that costs little."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable

from astra_registry.fetching.wanted import Wanted

_FEW = 100  # "auto" asks for listings when no more files than this are fetched …
_MANY_IN_A_FOLDER = 4  # … or when a folder holds so many
_FOLDERS_COUNTED = 50_000


class Comparing:
    """The choice for each file; ``ask_early`` is given the folders whose listings will be wanted.

    How many files there are is known only after some of them were looked at. Their transfers need not wait for that,
    only their comparisons: `compares` is asked when a file is here.
    """

    def __init__(self, mode: str, ask_early: Callable[[str], None]) -> None:
        self._mode = mode
        self._ask_early = ask_early
        self._absent = 0
        self._folders: Counter[str] = Counter()
        self._begun: list[Wanted] = []  # before it was known how many there are
        self._listed: set[str] = set()
        self._surveyed = threading.Event()
        if mode != "auto":
            self._surveyed.set()

    def count(self, item: Wanted) -> None:
        """Note that a file will be fetched."""
        if self._mode == "auto":
            self._absent += 1
            if len(self._folders) > _FOLDERS_COUNTED:
                self._folders.clear()
            self._folders[os.path.dirname(item.path)] += 1

    def surveyed(self) -> None:
        """Note that enough is known: all files, or very many, were counted."""
        if not self._surveyed.is_set():
            self._surveyed.set()
            begun, self._begun = self._begun, []
            for item in begun:
                self.begin(item)

    def begin(self, item: Wanted) -> None:
        """Have a folder's listing asked for beside its first files, so that they need not wait for it."""
        if not self._surveyed.is_set():
            self._begun.append(item)
        elif self.compares(item):
            url = item.urls[0]
            folder = url[: url.rfind("/") + 1]
            if folder in self._listed or not url.startswith(("http://", "https://")):
                return
            if len(self._listed) > _FOLDERS_COUNTED:
                self._listed.clear()
            self._listed.add(folder)
            self._ask_early(folder)

    def compares(self, item: Wanted) -> bool:
        """Whether a file is compared; waits until that can be told."""
        if self._mode != "auto":
            return self._mode == "always"
        self._surveyed.wait()
        return self._absent <= _FEW or self._folders[os.path.dirname(item.path)] >= _MANY_IN_A_FOLDER
