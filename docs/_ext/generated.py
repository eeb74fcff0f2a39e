"""The part of the reference that the program writes about itself, made anew at each build.

Each module in `pages/` has a function `page()` that returns Markdown; it lands in `reference/generated/`, and a
hand-written page of `reference/` includes it. A file is only written when it changed, so that Sphinx rebuilds no
more than it must.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import layers
import pictures
import program
from pages import commands, errors, hooks, measurements, products, python_api, settings

if TYPE_CHECKING:
    from sphinx.application import Sphinx


PAGES = {
    "settings.md": settings.page,
    "errors.md": errors.page,
    "products.md": products.page,
    "commands.md": commands.page,
    "hooks.md": hooks.page,
    "python.md": python_api.page,
    "measurements.md": measurements.page,
    "layers.html": layers.picture,
}


def write(folder: Path) -> None:
    """Write every generated file into *folder*, leaving alone what is already right."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        file, text = folder / name, page()
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    pictures.draw(folder)


def add_catalogue(app: Sphinx, failed: Exception | None) -> None:
    """Put the catalogue of what is installed beside the pages, which link to it."""
    if failed is None and app.builder.name == "html":
        program.output("catalogue", str(Path(app.outdir, "catalogue")))


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the pages as soon as Sphinx knows where the sources are."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir, "reference", "generated")))
    app.connect("build-finished", add_catalogue)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
