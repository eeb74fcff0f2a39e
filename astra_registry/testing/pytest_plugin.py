"""Fixtures that every pytest run gets when astra-registry is installed."""
