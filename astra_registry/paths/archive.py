"""Where the SAS is, below a folder of this machine and below a base on a server; and the way from one to the other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

import attrs

from astra_registry.errors import NotOnSas
from astra_registry.paths.quoting import quoted, unquoted
from astra_registry.paths.roots import ELSEWHERE, FILESYSTEM, PRODUCT, SAS
from astra_registry.paths.template import PathTemplate

_NETLOC = {"sdss": "data.sdss.org", "sdss5": "data.sdss5.org", "mirror": "data.mirror.sdss.org"}


@attrs.frozen(eq=False)
class Archive:
    """The SAS of one release, as one machine and one server have it."""

    sas_base_dir: str
    product_root: str
    """The folder of software products on this machine."""
    netloc: str
    remote_base: str
    tops: Mapping[str, str] = attrs.field(init=False)
    """What a template's location is relative to → that folder on this machine, with its slash."""
    remote: str = attrs.field(init=False)
    """The URL of the top of the SAS, with its slash."""

    @tops.default
    def _tops(self) -> Mapping[str, str]:
        return {SAS: os.path.join(self.sas_base_dir, ""), PRODUCT: os.path.join(self.product_root, ""), ELSEWHERE: ""}

    @remote.default
    def _remote(self) -> str:
        return f"{self.remote_base}/sas/"

    @classmethod
    def of(
        cls,
        release: str,
        sas_base_dir: str,
        product_root: str | None,
        *,
        public: bool,
        mirror: bool,
        remote_base: str | None,
    ) -> Archive:
        """Return the archive of a release; without *remote_base* on the SDSS server that has it.

        Without *product_root*, software lies beside the SAS.
        """
        top = os.path.normpath(sas_base_dir)
        software = os.path.normpath(product_root) if product_root else os.path.dirname(top)
        if remote_base:
            base = remote_base.rstrip("/")
            return cls(top, software, base.split("://", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1], base)
        # As sdss_access decides: a data release that is not out yet lives with the collaboration's.
        is_sdss5 = release.startswith(("sdss", "ipl")) or not public
        netloc = _NETLOC["mirror"] if mirror else _NETLOC["sdss5" if is_sdss5 else "sdss"]
        return cls(top, software, netloc, f"https://{netloc}")

    def url(self, location: str) -> str:
        """Return the URL of a location; what has a meaning of its own in a URL is quoted."""
        return self.remote + quoted(location)

    def location(self, path: str) -> str:
        """Return the location of a path on this machine. Raises NotOnSas."""
        top = self.tops[SAS]
        if not path.startswith(top):
            raise NotOnSas(f"{path} does not lie below {top}")
        return os.path.normpath(path[len(top) :])

    def locations(self, text: str, template: PathTemplate) -> Iterator[str]:
        """Give what a path or URL may mean, relative to the template's place, the likeliest first."""
        place = self.tops[template.place]
        if text.startswith(self.remote):
            yield unquoted(text[len(self.remote) :])
        elif "://" in text:
            scheme, rest = text.split("://", 1)
            path = unquoted("/" + rest.partition("/")[2])
            if scheme == "file":
                yield from self.locations(path, template)
            elif "/sas/" in path:
                yield path.split("/sas/", 1)[1]
            else:  # rsync serves the top of the SAS
                yield path[1:]
        elif text.startswith(place):
            yield os.path.normpath(text[len(place) :])
        elif not text.startswith("/"):
            yield text
        elif template.prefix:  # below another top
            path = os.path.normpath(text)
            yield from (
                path[found.start() + 1 :] for found in re.finditer("(?=/" + re.escape(template.prefix) + ")", path)
            )

    def root(self, folder: str) -> str:
        """Return a folder as the release files would write it, when it lies below the SAS or the software."""
        for place, variable in ((self.sas_base_dir, FILESYSTEM), (self.product_root, "$PRODUCT_ROOT")):
            if folder == place or folder.startswith(place.rstrip("/") + "/"):
                return variable + folder[len(place.rstrip("/")) :]
        return folder
