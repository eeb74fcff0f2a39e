"""apVisit does what every data product has to do."""

from astra_registry.testing import ProductSuite


class TestApVisit(ProductSuite):
    plugin = "astra_registry_apvisit"
