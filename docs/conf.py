"""How the documentation is built: MyST pages in four folders, a reference that the program writes about itself."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from astra_registry import __version__  # noqa: E402

project = "astra-registry"
author = "the astra_registry developers"
copyright = f"2026, {author}"  # noqa: A001
version = release = __version__

extensions = ["myst_parser", "sphinx_copybutton", "generated"]
exclude_patterns = ["_build", "_ext", "examples", "reference/generated"]
myst_enable_extensions = ["deflist", "colon_fence", "attrs_inline", "attrs_block"]
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = "astra-registry"
html_static_path = ["_static"]
html_css_files = ["astra.css"]
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sphinx = False
copybutton_prompt_text = r"\$ |> "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True  # what a command prints is not copied with it
