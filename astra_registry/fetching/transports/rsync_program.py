"""One run of the rsync program: what it is told, what it says of the files that come, and that it ends with us."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO

_LOOK_EVERY = 0.05  # seconds
# Ends the program when the pipe from us closes, so that it does not outlive us, however we end.
_ENDING_WITH_US = '"$@" & exec >&- 2>&-; read _; kill $!; wait $!'
_CODED = re.compile(rb"\\#([0-7]{3})")  # how it writes a byte of a name that is not for a terminal


class RsyncRun:
    """The program from its start to the end of the ``with`` block.

    The names of the files go to it through a pipe. ``lock`` is a descriptor that it holds open as long as it writes.
    """

    def __init__(
        self, command: Sequence[str], names: Iterable[str], environment: Mapping[str, str], lock: int | None
    ) -> None:
        program, *words = command
        listed, list_end = os.pipe()
        options = [f"--files-from=/dev/fd/{listed}", "--from0", "--8-bit-output", "--outbuf=L", "--out-format=%b %n"]
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _ENDING_WITH_US, "sh", program, *options, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                pass_fds=[listed] if lock is None else [listed, lock],
                start_new_session=True,  # it has no terminal on which it could ask for a password
            )
        except BaseException:
            os.close(list_end)
            raise
        finally:
            os.close(listed)
        text = b"".join(os.fsencode(name) + b"\0" for name in names)
        self._arrivals: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        self._complaints: list[bytes] = []
        work = (
            (self._listen, self._process.stdout),
            (self._note_complaints, self._process.stderr),
            (_feed, list_end, text),
        )
        self._threads = [threading.Thread(target=what, args=given, daemon=True) for what, *given in work]
        for thread in self._threads:
            thread.start()

    def arrivals(self) -> Iterator[list[tuple[str, int]]]:
        """Give the files that have come since, with the bytes that each took, again and again until it ends.

        A file may bear its name a moment later only.
        """
        ended = False
        while not ended:
            came = []
            with contextlib.suppress(queue.Empty):
                came.append(self._arrivals.get(timeout=_LOOK_EVERY))
                while True:
                    came.append(self._arrivals.get_nowait())
            ended = None in came
            yield [arrival for arrival in came if arrival is not None]

    def end(self) -> tuple[int, str]:
        """End it, if it has not ended by itself, and return its exit code and what it complained of."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        code = self._process.wait()
        for thread in self._threads:
            thread.join()
        return code, b"".join(self._complaints).decode("utf-8", "replace")

    def __enter__(self) -> RsyncRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _listen(self, stream: IO[bytes]) -> None:
        for line in stream:
            number, _, name = line.rstrip(b"\n").partition(b" ")
            if number.isdigit() and not name.endswith(b"/"):  # else a folder
                shown = _CODED.sub(lambda code: bytes([int(code[1], 8)]), name)
                self._arrivals.put((os.fsdecode(shown), int(number)))
        self._arrivals.put(None)

    def _note_complaints(self, stream: IO[bytes]) -> None:
        self._complaints.append(stream.read())


def _feed(pipe: int, text: bytes) -> None:
    with contextlib.suppress(OSError), open(pipe, "wb") as stream:
        stream.write(text)
