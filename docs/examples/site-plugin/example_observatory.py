"""What fits an observatory's machines: where the SAS is mounted, and how many files at once its line bears.

What a user configures wins over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from astra_registry import hookimpl

astra_registry_api = 1


@hookimpl
def astra_registry_settings() -> Mapping[str, Any]:
    """Return the defaults of this site."""
    return {"sas_base_dir": "/observatory/sas", "jobs": 4, "mirrors": ["https://sas.observatory.example"]}
