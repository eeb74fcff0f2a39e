"""Where the servers keep files of which the tree says something else, or nothing.

Each template is one after which real files are named: seen in addresses that programs ask the SAS for, and in copies of
the files themselves. The tree's own stays the first, so that local paths are those of sdss_access.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# The tree leaves the version of the reduction out of the name, which is right in DR10 only.
_ASPCAP_STAR = (
    "=aspcapStar",
    "$APOGEE_REDUX/{apred}/{apstar}/{aspcap}/{results}/{location}/aspcapStar-{apred}-{results}-{obj}.fits",
)
# DR18 has the spectra of SDSS-I to IV again, of all runs below one root, and the tree only those of SDSS-V.
_LITE_AGAIN = (
    "$SAS_BASE_DIR/dr18/spectro/sdss/redux/{run2d}/spectra/lite/{plateid:0>4}/"
    "spec-{plateid:0>4}-{mjd}-{fiberid:0>4}.fits"
)

#: Path name → release → template, or several of which the first is the location.
SERVED: Mapping[str, Mapping[str, str | Sequence[str]]] = {
    "aspcapStar": dict.fromkeys(("dr12", "dr13", "dr14", "dr15"), _ASPCAP_STAR),
    "spec-lite": {"dr18": _LITE_AGAIN},
}
