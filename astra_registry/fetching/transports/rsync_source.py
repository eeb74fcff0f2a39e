"""Where files are by rsync: the module of a server and the path in it, and what one run of the program can bring."""

from __future__ import annotations

import os
import urllib.parse
from collections import Counter
from collections.abc import Iterable

import attrs

from astra_registry.errors import TransferFailed
from astra_registry.fetching.transports.origin import PORTS, Origin, without_password

# Where the SDSS serves by rsync what it serves over https, and as whom (its own documentation).
SDSS_RSYNC = {"data.sdss.org": ("dtn.sdss.org", "sdss"), "data.sdss5.org": ("dtn.sdss.org", "sdss5")}


@attrs.frozen
class Source:
    """A module of an rsync server, and a path in it."""

    origin: Origin
    module: str
    path: str
    web_host: str = ""  # the host of the https URL that stands for it: its credentials serve here too
    below_sas: bool = False  # its module is the "sas" of an rsync URL, which some servers have and others have not

    @property
    def authority(self) -> str:
        """The server as an rsync URL writes it."""
        return self.origin.authority

    @classmethod
    def of(cls, url: str) -> Source:
        """Return where a URL's file is by rsync: an rsync URL is taken as it is, others by their location."""
        shown = without_password(url)
        try:
            parts = urllib.parse.urlsplit(shown)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise TransferFailed(f"{shown} has no proper host and port") from None
        path = urllib.parse.unquote(parts.path).lstrip("/")
        if parts.scheme == "rsync":
            path = urllib.parse.unquote(shown.partition("://")[2].partition("/")[2])  # in which ? and # are of names
            origin = Origin("rsync", host, port or PORTS["rsync"])
        elif parts.scheme in ("http", "https") and "sas/" in path:
            origin = Origin("rsync", SDSS_RSYNC.get(host, (host, ""))[0], PORTS["rsync"])
            path = path.partition("sas/")[2]
        else:
            raise TransferFailed(f"{shown} has no counterpart by rsync")
        if path.endswith(("/", "/.")):
            raise TransferFailed(f"{shown} names a folder: files are brought one by one, by their own URLs")
        path = "/".join(name for name in path.split("/") if name not in ("", "."))  # "." is rsync's mark of a base
        module, _, rest = path.partition("/")
        # What rsync brings is looked for below a folder of ours, which ".." would leave.
        if not host or not module or not rest or ".." in path.split("/") or any(c in path for c in "\0\n\r"):
            raise TransferFailed(f"{shown} names no file that rsync could bring")
        return cls(origin, module, rest, host, below_sas=parts.scheme == "rsync" and module == "sas" and "/" in rest)

    def is_one_of(self, names: Iterable[str]) -> bool:
        """Whether it is among files as a server names them: in its module, or from the top of its file system."""
        return any(f"/{name}".endswith(f"/{self.path}") for name in names)

    def bare(self) -> Source:
        """Return where it is at a server whose modules lie at the top, without a "sas" above them."""
        module, _, path = self.path.partition("/")
        return attrs.evolve(self, module=module, path=path, below_sas=False)


@attrs.frozen
class Member:
    """One file of a group."""

    index: int
    source: Source
    destination: str

    @property
    def folder(self) -> str:
        """Where it shall lie."""
        return os.path.dirname(os.path.abspath(self.destination))


def below(folder: str, members: list[Member]) -> list[list[Member]]:
    """Return the groups by the folders in this one that they lie in; none where all lie in the folder itself."""
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(os.path.relpath(member.folder, folder).partition(os.sep)[0], []).append(member)
    return [] if groups.keys() == {os.curdir} else list(groups.values())


def grouped(members: Iterable[Member]) -> list[list[Member]]:
    """Return what one run of rsync can bring each: files of one module, for one login, and each of them once."""
    groups: dict[tuple[Origin, str, str, bool, int], list[Member]] = {}
    times: Counter[Source] = Counter()
    for member in members:
        source = member.source
        times[source] += 1
        key = source.origin, source.module, source.web_host, source.below_sas, times[source]
        groups.setdefault(key, []).append(member)
    return list(groups.values())
