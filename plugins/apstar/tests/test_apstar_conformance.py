"""apStar does what every data product has to do."""

from astra_registry.testing import ProductSuite


class TestApStar(ProductSuite):
    plugin = "astra_registry_apstar"
