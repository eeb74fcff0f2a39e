"""What ``pytest --astra-plugin NAME`` collects: the suite, for the plugin that is named."""

from __future__ import annotations

import pytest

from astra_registry.testing.conformance import ProductSuite


class TestPlugin(ProductSuite):
    """The suite; of the plugin that the command line names."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run the tests for the plugin that the command line names."""
        type(self).plugin = metafunc.config.getoption("--astra-plugin")
        super().pytest_generate_tests(metafunc)
