"""What plugin authors test with: the embedded SAS, the conformance suite, the pytest plugin."""
