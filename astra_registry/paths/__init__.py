"""Path templates: the tree's notation, parsed once, filled one by one or by columns, and read backwards."""
