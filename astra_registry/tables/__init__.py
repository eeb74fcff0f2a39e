"""Tables as columns of plain values: read from any table or file of one, matched to wanted names, written whole."""

from __future__ import annotations

from astra_registry.tables.columns import Columns, digits, is_blank, match_columns, name_in, whole_numbers
from astra_registry.tables.files import column_names, iter_columns, read_columns, which_table
from astra_registry.tables.writing import as_table, write_table

__all__ = [
    "Columns",
    "as_table",
    "column_names",
    "digits",
    "is_blank",
    "iter_columns",
    "match_columns",
    "name_in",
    "read_columns",
    "which_table",
    "whole_numbers",
    "write_table",
]
