"""An answer to what lives at a path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from astra_registry.errors import NotOnSas
from astra_registry.product import DataProduct


@attrs.frozen(kw_only=True, eq=False)
class Identification:
    """One answer to what lives at a path: a product, and why this one; it equals its product, and has its members."""

    input: str
    """The path or URL that was asked about."""
    product: DataProduct
    reason: str
    """Why it is this one, in a few words."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what copy and pickle look for is not the product's to answer
            raise AttributeError(name)
        return getattr(self.product, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.product == (other.product if isinstance(other, Identification) else other))

    def __hash__(self) -> int:
        return hash(self.product)

    @property
    def name(self) -> str:
        """The product's name."""
        return self.product._label()

    @property
    def release(self) -> str:
        """The release whose template it is."""
        return self.product.release

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The product's own parameters by name, typed; without those that are left out."""
        own = type(self.product).product_parameters()
        values = {p.name: getattr(self.product, attribute) for attribute, p in own.items()}
        return {name: value for name, value in values.items() if value not in (None, "")}

    @property
    def path(self) -> str:
        """Where the file lives on this machine."""
        return str(self.product.local_path)

    @property
    def url(self) -> str | None:
        """Its URL; None for a software product."""
        try:
            return str(self.product.remote_path)
        except NotOnSas:
            return None

    @property
    def location(self) -> str | None:
        """Its path relative to the top of the SAS; None for a software product."""
        try:
            return str(self.product.location)
        except NotOnSas:
            return None

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses of the same file: here, on the server, on the mirror, and at its further places."""
        url = self.url
        if url is None:
            return (self.path,)
        mirror = self.product.clone(mirror=True).remote_path
        further = self.product.further_remote_paths
        return tuple(dict.fromkeys((self.path, url, mirror, *further)))
