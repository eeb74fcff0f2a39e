"""What a server's folders hold: their index, and the ``.sha1sum`` listings found in it, each asked for once."""

from __future__ import annotations

import posixpath
import re
import threading
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType

import attrs

from astra_registry.errors import FileFailed, FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching.transports.origin import without_password

_LINK = re.compile(rb"""<a\s[^>]*?href\s*=\s*(?:"([^">]*)"|'([^'>]*)'|([^"'\s>]+))""", re.IGNORECASE)
_PASSWORD = re.compile(rb"""<input\s[^>]*type\s*=\s*["']?password""", re.IGNORECASE)
_LINE = re.compile(r"^\\?([0-9a-fA-F]{40})[ \t]+\*?(.+?)\s*$", re.MULTILINE)
_LISTINGS_A_FOLDER = 8
_NAMES_REMEMBERED = 200_000

Get = Callable[[str], bytes]
"""Return the (small) body at a URL; raise FileFailed."""
Index = Callable[[str], tuple[str, ...]]
"""Return the names in the folder at a URL, those of folders with a slash at their end; raise FileFailed."""


def can_list(url: str) -> bool:
    """Whether what is at a URL has folders that can be asked what they hold."""
    return url.startswith(("http://", "https://", "file:"))


@attrs.frozen
class Folder:
    """A folder of the server: names as they are in its index, and the sha1 of those that a listing has."""

    names: tuple[str, ...] = ()
    sha1: Mapping[str, str] = MappingProxyType({})
    there: bool | None = True  # None: the server does not say
    unheard: str = ""  # why it is not known what the server has to say: an index or a listing did not come

    def has(self, name: str) -> bool:
        """Whether its index has a file by this name, or in another compression."""
        return not self._names.isdisjoint(spellings(name))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.names)


def index_names(page: bytes, folder: str) -> tuple[str, ...]:
    """Return the names that the index page of the folder at a URL links to (folders end in a slash).

    Raises TransferFailed for a page to log in at.
    """
    import html

    if _PASSWORD.search(page):
        raise TransferFailed(f"{without_password(folder)} is answered with a page to log in at")

    names: dict[str, None] = {}
    for quotings in _LINK.findall(page):
        text = html.unescape(b"".join(quotings).decode("utf-8", "replace")).removeprefix(folder)
        if "?" in text or "#" in text or "://" in text:
            continue  # to sort by another column
        name = urllib.parse.unquote(text)
        name = posixpath.basename(name.rstrip("/")) + ("/" if name.endswith("/") else "")
        if name not in ("/", "../", "./", ".."):
            names[name] = None
    return tuple(names)


def spellings(name: str) -> list[str]:
    """Return a name and its other compressions."""
    plain = name.removesuffix(".gz").removesuffix(".bz2")
    return list(dict.fromkeys((name, plain, f"{plain}.gz", f"{plain}.bz2")))


def parse_listing(text: str, folder: str) -> dict[str, str]:
    """Return name → sha1 of the files of ``folder`` from the text of a ``.sha1sum`` file.

    A listing may name its files with their path from wherever it was made; those of other folders may bear the same
    names.
    """
    found = {}
    for digest, path in _LINE.findall(text):
        above, name = posixpath.split(posixpath.normpath(path))
        if not above or f"{folder.rstrip('/')}/".endswith(f"/{above.lstrip('/')}/"):
            found[name] = digest.lower()
    return found


class Listings:
    """The folders that were asked for: by one, for all."""

    def __init__(self, get: Get, index: Index) -> None:
        self._get = get
        self._index = index
        self._folders: OrderedDict[tuple[str, bool], _Question] = OrderedDict()
        self._remembered = 0
        self._lock = threading.Lock()

    def sha1(self, url: str, *, surely: bool = False, named: bool = True) -> str | None:
        """Return the sha1 that the server lists for a file that it has, or None.

        ``surely``: raise TransferFailed where it may list one, and did not get to say so; with ``named`` also where its
        folder is answered with a page that does not name the file, as servers have it that show no index.
        """
        above, _, coded = url.rpartition("/")
        folder = self.folder(above + "/", sums=True)
        name = urllib.parse.unquote(coded)
        found = folder.sha1.get(name)
        if surely and found is None:
            unheard = folder.unheard
            if named and not unheard and folder.there and not folder.has(name):
                unheard = f"{without_password(above)}/ is answered with a page that does not name the file"
            if unheard:
                raise TransferFailed(f"the sha1 that its server may list could not be asked for: {unheard}")
        return found

    def folder(self, url: str, *, sums: bool = False) -> Folder:
        """Return what the server says of one of its folders; an empty one when it says nothing. ``sums``: with sha1."""
        with self._lock:
            sums = sums or (url, True) in self._folders
            question = self._folders.get((url, sums))
            asks = question is None
            if question is None:
                question = self._folders[url, sums] = _Question()
        if not asks:
            question.answered.wait()
            return question.answer
        try:
            question.answer = self._ask(url, sums=sums)
        finally:
            question.answered.set()
        self._forget_some((url, sums), question)
        return question.answer

    def _forget_some(self, newest: tuple[str, bool], question: _Question) -> None:
        with self._lock:
            if newest not in self._folders:
                return  # forgotten before it was answered
            question.names = len(question.answer.names) + len(question.answer.sha1) + 1
            self._remembered += question.names
            while self._remembered > _NAMES_REMEMBERED and len(self._folders) > 1:
                _, oldest = self._folders.popitem(last=False)
                self._remembered -= oldest.names

    def _ask(self, url: str, *, sums: bool) -> Folder:
        try:
            names = self._index(url)
        except FileMissing:
            return Folder(there=False)
        except FileFailed as error:
            return Folder(there=None, unheard=_unheard(error))
        sha1: dict[str, str] = {}
        unheard = ""
        if sums:
            listings = [name for name in names if name.lower().endswith(".sha1sum")]
            for name in listings[:_LISTINGS_A_FOLDER]:
                try:
                    listing = self._get(url + urllib.parse.quote(name, errors="surrogateescape")).decode(
                        "utf-8", "replace"
                    )
                    sha1.update(parse_listing(listing, urllib.parse.unquote(urllib.parse.urlsplit(url).path)))
                    if listing.strip() and not _LINE.search(listing):
                        unheard = unheard or f"{without_password(url)}{name} is answered with a page that lists none"
                except FileFailed as error:
                    unheard = unheard or _unheard(error)  # it is welcome, not promised: others may have the file
        return Folder(names, sha1, unheard=unheard)


def _unheard(error: FileFailed) -> str:
    """Return what kept a server from an answer; that it has no such page, or shows it to nobody, is one."""
    return "" if isinstance(error, (FileMissing, Unauthorized)) else str(error)


@attrs.define
class _Question:
    answered: threading.Event = attrs.field(factory=threading.Event)
    answer: Folder = Folder(there=None)  # where the run ended before
    names: int = 0  # that are remembered for it
