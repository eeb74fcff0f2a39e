"""Tasks for the tests of the engines: they write files into a folder, fail when told, and remember what they did."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from astra_registry import Task, parameter
from astra_registry.target import Target


class Square(Task):
    """Writes the square of a number."""

    folder: str = parameter("Where results go.")
    number: int = parameter("The number.", batch=True)

    def output(self) -> Any:
        if self.is_batch_mode:
            return [member.output() for member in self.get_batch_tasks()]
        return Target(os.path.join(self.folder, f"{type(self).__name__}-{self.number}"))

    def run(self) -> Any:
        for member in self.get_batch_tasks():
            with open(os.path.join(self.folder, "log"), "a") as log:
                log.write(f"{type(self).__name__} {member.number}\n")
            Path(member.output().path).write_text(f"{member.number**2} {os.getpid()}")


class Templated(Square):
    """Needs a square as input, and another that its template adds."""

    def requires(self) -> Any:
        return Square(folder=self.folder, number=2)

    def _requires(self) -> Any:
        return [Square(folder=self.folder, number=1), *super()._requires()]


class Sum(Task):
    """Adds squares that it requires."""

    folder: str = parameter("Where results go.")
    upto: int = parameter("How many.")

    def requires(self) -> Any:
        return {f"n{i}": Square(folder=self.folder, number=i) for i in range(self.upto)}

    def output(self) -> Any:
        return Target(os.path.join(self.folder, f"Sum-{self.upto}"))

    def run(self) -> Any:
        total = sum(int(Path(self.get_input(f"n{i}").path).read_text().split()[0]) for i in range(self.upto))
        Path(self.output().path).write_text(str(total))


class Asking(Square):
    """Yields what it requires while it runs."""

    def run(self) -> Any:
        target = yield Square(folder=self.folder, number=self.number + 1)
        Path(self.output().path).write_text(Path(target.path).read_text())


class Demanding(Square):
    """Yields a task of whichever class it is told, and writes that it had it."""

    wanted: str = parameter("The class of what it yields.")

    def run(self) -> Any:
        target = yield globals()[self.wanted](folder=self.folder, number=self.number)
        Path(self.output().path).write_text(f"had {Path(target.path).name}")


class Double(Square):
    """Needs a square."""

    def requires(self) -> Any:
        return Square(folder=self.folder, number=self.number)

    def run(self) -> Any:
        Path(self.output().path).write_text(str(2 * int(Path(self.input().path).read_text().split()[0])))


class Ouroboros(Square):
    """Yields itself."""

    def run(self) -> Any:
        yield self.clone()


class Failing(Square):
    """Fails as often as a file says."""

    def run(self) -> Any:
        counter = Path(self.folder, f"fail-{self.number}")
        left = int(counter.read_text()) if counter.exists() else 0
        if left:
            counter.write_text(str(left - 1))
            raise ValueError(f"no light for {self.number}")
        super().run()


class Patient(Failing):
    """May fail twice."""

    retry_count = 2


class Urgent(Square):
    """Goes first."""

    priority = 10


class Idle(Square):
    """Is not to be run."""

    disabled = True


class Silent(Task):
    """Makes no file."""

    folder: str = parameter("Where the log is.")
    number: int = parameter("The number.", batch=True)

    def run(self) -> Any:
        with open(os.path.join(self.folder, "log"), "a") as log:
            log.write(f"Silent {self.number}\n")


class Endless(Square):
    """Never comes to an end."""

    def run(self) -> Any:
        Path(self.folder, "begun").touch()
        threading.Event().wait()


class Circle(Task):
    """Requires itself, by way of another."""

    number: int = parameter("The number.")

    def requires(self) -> Any:
        return Circle(number=(self.number + 1) % 3)


class Confused(Square):
    """Cannot tell what it requires."""

    def requires(self) -> Any:
        raise RuntimeError("what?")


class Deadly(Square):
    """Kills its process, the first time."""

    def run(self) -> Any:
        marker = Path(self.folder, f"dead-{self.number}")
        if not marker.exists() and self.number == 7:
            marker.write_text("")
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)
        super().run()


class Heavy(Square):
    """Has every setting for a scheduler."""

    priority = 7
    resources = {"memory": 2}  # noqa: RUF012
    worker_timeout = 17
    retry_count = 3
    disable_hard_timeout = 18
    disable_window = 19
    owner_email = " one@example.org, two@example.org"
    accepts_messages = True
    max_batch_size = 4


class Slow(Square):
    """Takes longer than it may."""

    worker_timeout = 1

    def run(self) -> Any:
        time.sleep(30)


class Mortal(Square):
    """Kills its process, whenever it is run."""

    def run(self) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


class Unsure(Square):
    """Cannot tell whether it is complete."""

    def complete(self) -> bool:
        raise RuntimeError("who knows?")


class Secretive(Square):
    """Needs something that nobody else may know."""

    token: str = parameter("A secret.", default="", significant=False, visibility="private")
    aside: str = parameter("Not significant.", default="", significant=False)

    def run(self) -> Any:
        target = yield Square(folder=self.folder, number=self.number)
        Path(self.output().path).write_text(f"{self.token} {int(Path(target.path).read_text().split()[0]) + 1} ")


class Telling(Square):
    """Tells luigi how far it is."""

    def run(self) -> Any:
        if self.set_status_message is not None:
            self.set_status_message(f"half of {self.number} done")
        super().run()


class Parted(Square):
    """Is done in parts of two."""

    max_batch_size = 2
