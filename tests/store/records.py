"""A record class of the tests' own: as little as the store asks for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs


@attrs.frozen
class Star:
    """One star, or a batch of stars when ``names`` is a tuple."""

    names: str | tuple[str, ...]
    release: str = "dr17"

    task_family = "star"
    plugin_version = "2.1"

    @property
    def reference(self) -> str:
        return f"{type(self).__module__}:{type(self).__qualname__}"

    @property
    def is_batch_mode(self) -> bool:
        return not isinstance(self.names, str)

    @property
    def _members(self) -> Sequence[str]:
        return self.names if self.is_batch_mode else (self.names,)

    def _parameters(self, name: str) -> str:
        return json.dumps({"release": self.release, "name": name})

    def _identity(self, *payload: str) -> str:
        return f"{self.task_family}_{hashlib.sha256(json.dumps(payload).encode()).hexdigest()[:32]}"

    @property
    def task_id(self) -> str:
        if self.is_batch_mode:
            return self._identity("batch", self.release, *self.names)
        return self._identity(self._parameters(self.names))

    def get_batch_size(self) -> int:
        return len(self._members)

    def identity_rows(self) -> Iterator[tuple[str, str]]:
        for name in self._members:
            parameters = self._parameters(name)
            yield self._identity(parameters), parameters

    def get_batch_tasks(self) -> Iterator[Star]:
        for name in self._members:
            yield type(self)(name, self.release)

    def to_str_params(self) -> dict[str, str]:
        return {"release": self.release, "names": json.dumps(self.names)}

    @classmethod
    def from_str_params(cls, values: Mapping[str, str]) -> Star:
        if "names" in values:
            return cls(tuple(json.loads(values["names"])), values["release"])
        return cls(values["name"], values["release"])

    @classmethod
    def from_members(cls, members: Iterable[str]) -> Star:
        values = [json.loads(member) for member in members]
        return cls(tuple(value["name"] for value in values), values[0]["release"])


class Planet(Star):
    """Another family."""

    task_family = "planet"


class Comet(Star):
    """A class that cannot be made again from its parameters."""

    task_family = "comet"

    @classmethod
    def from_str_params(cls, values: Mapping[str, str]) -> Star:
        raise ValueError("comets do not return")


class Vanished(Star):
    """A class whose plugin is not installed."""

    task_family = "vanished"

    @property
    def reference(self) -> str:
        return "astra_registry_vanished:Vanished"


def stars(count: int, prefix: str = "s") -> Star:
    """A batch of so many distinct stars."""
    return Star(tuple(f"{prefix}{i}" for i in range(count)))
