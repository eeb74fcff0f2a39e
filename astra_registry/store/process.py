"""Which process this is, and whether another one still lives."""

from __future__ import annotations

import functools
import getpass
import os
import socket
from pathlib import Path

import attrs


@attrs.frozen
class Process:
    """Who did something, and where."""

    user: str
    host: str
    pid: int
    #: Names this very process among all processes of all time on all machines (as well as the system can tell).
    token: str


@functools.cache
def _machine() -> str:
    # The host's name does not do: containers share names, and each has its own numbers of processes.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _birth(pid: int) -> tuple[str, str] | None:
    """Return when a process of this machine was started, and its state; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in brackets, may hold blanks and brackets itself.
    fields = stat[stat.rindex(")") + 2 :].split()
    return fields[19], fields[0]


@functools.cache
def _this(pid: int) -> Process:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container with a user number that has no name
        user = str(os.getuid())
    host, machine = socket.gethostname(), _machine()
    birth = _birth(pid)
    token = f"{machine}/{pid}/{birth[0]}" if machine and birth else f"{host}:{pid}"
    return Process(user, host, pid, token)


def this_process() -> Process:
    """Return this process (also after a fork)."""
    return _this(os.getpid())


def lives(token: str) -> bool | None:
    """Return whether the process of that token lives; None when nobody here can know, or it has been stopped."""
    machine, _, birth = token.rpartition("/")
    machine, _, pid = machine.rpartition("/")
    if not machine or machine != _machine():
        return None
    found = _birth(int(pid))
    # A zombie is dead: its parent has not noticed yet. Another with its number is not it.
    if found is None or found[0] != birth or found[1] in "ZX":
        return False
    return None if found[1] in "Tt" else True
