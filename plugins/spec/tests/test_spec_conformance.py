"""spec does what every data product has to do."""

from astra_registry.testing import ProductSuite


class TestSpec(ProductSuite):
    plugin = "astra_registry_spec"
