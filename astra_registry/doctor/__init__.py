"""What is wrong with this machine: checks that each look at one thing, and say what to do about it.

A check that fails itself is a finding too: the doctor never dies of the patient's disease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from astra_registry.doctor import machine, network
from astra_registry.doctor.findings import NOTE, OK, WRONG, Finding
from astra_registry.errors import AstraRegistryError

__all__ = ["NOTE", "OK", "WRONG", "Finding", "examine"]

# For an error that a check passes on; what it says besides is in its message.
_REMEDIES = {
    "configuration": "mend it where the message says, or take it away",
    "tree": "pip install --force-reinstall sdss-tree",
    "database": "do what the message says, or set ASTRA_REGISTRY_DATABASE to another database",
}

_CHECKS: dict[str, Callable[[], Iterator[Any]]] = {
    "python": machine.python,
    "packages": machine.packages,
    "tree": machine.tree,
    "configuration": machine.configuration,
    "sas": machine.sas,
    "login": network.login,
    "tls": network.tls,
    "clock": machine.clock,
    "servers": network.servers,
    "database": machine.database,
    "plugins": machine.plugins,
}


def examine(*, network: bool = True) -> Iterator[Finding]:
    """Yield the findings of every check, in order; with ``network=False`` no server is asked."""
    told = set()
    for name, check in _CHECKS.items():
        if name == "servers" and not network:
            continue
        try:
            for status, message, *remedy in check():
                yield Finding(name, status, message, *remedy)
        except AstraRegistryError as error:
            # A bad line of the configuration hinders every check that reads a setting: it is told once.
            if str(error) not in told:
                told.add(str(error))
                yield Finding(name, WRONG, str(error), _REMEDIES.get(name, "mend it where the message says"))
        except Exception as error:  # noqa: BLE001 - a check that breaks is a finding
            yield Finding(name, WRONG, f"the check failed: {type(error).__name__}: {error}", "please report this")
