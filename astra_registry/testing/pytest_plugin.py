"""pytest's part of the conformance suite: `--astra-plugin`, and advice in the place of tracebacks.

pytest loads this module in every project of an environment: it imports nothing until it is used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that runs the suite for an installed plugin, without a file of tests."""
    group = parser.getgroup("astra-registry")
    group.addoption(
        "--astra-plugin",
        metavar="NAME",
        help="run astra-registry's conformance suite for an installed plugin (its name, distribution or module), or a "
        "products.toml",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the suite's own module in the place of what the current folder holds."""
    named = config.getoption("--astra-plugin")
    if not named:
        return
    suite = os.path.join(os.path.dirname(__file__), "of_installed.py")
    if config.args_source is not type(config).ArgsSource.ARGS:
        config.args[:] = []
    config.args.append(suite)
