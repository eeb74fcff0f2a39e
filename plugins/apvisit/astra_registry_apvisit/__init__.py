"""placeholder until the product interface exists."""
