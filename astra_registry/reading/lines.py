"""A small table of spectral lines: names to write into the picture of a stellar or galaxy spectrum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from astra_registry.reading.wavelengths import air_to_vacuum

_RYDBERG_HYDROGEN = 109677.5834  # 1/cm: R_inf (CODATA 2018) with the reduced mass of hydrogen


@attrs.frozen
class Line:
    """A line at rest: its vacuum wavelength in Å, and how it is written."""

    name: str
    wavelength: float
    source: str


def _hydrogen(lower: int, upper: int) -> float:
    """Return the vacuum wavelength of hydrogen's line in Å by Rydberg's formula; good to 0.1 Å in the optical."""
    return 1e8 / (_RYDBERG_HYDROGEN * (1 / lower**2 - 1 / upper**2))


_SDSS = "SDSS, table of spectral lines used (vacuum), https://classic.sdss.org/dr6/algorithms/linestable.php"
# Each is seen within two pixels in the stars that come with the tests.
_SMITH = "lines of the H band measured by APOGEE (Smith et al. 2013, ApJ 765, 16), air to vacuum after Ciddor 1996"
_RYDBERG = "Rydberg's formula (vacuum)"

OPTICAL = tuple(
    Line(name, wavelength, _SDSS)
    for name, wavelength in (
        ("Lyα", 1215.67),
        ("N V", 1240.81),
        ("C IV", 1549.48),
        ("He II", 1640.42),
        ("C III]", 1908.73),
        ("Mg II", 2799.12),
        ("[O II]", 3728.48),  # the middle of the doublet 3727.09, 3729.88
        ("[Ne III]", 3869.86),
        ("Ca K", 3934.78),
        ("Ca H", 3969.59),
        ("Hδ", 4102.89),
        ("G", 4305.61),
        ("Hγ", 4341.68),
        ("[O III]", 4364.44),
        ("Hβ", 4862.68),
        ("[O III]", 4960.30),
        ("[O III]", 5008.24),
        ("Mg b", 5176.63),
        ("Na D", 5895.60),
        ("[O I]", 6302.05),
        ("[N II]", 6549.86),
        ("Hα", 6564.61),
        ("[N II]", 6585.27),
        ("[S II]", 6718.29),
        ("[S II]", 6732.68),
        ("[Ar III]", 7137.76),
        ("Ca II", 8500.36),
        ("Ca II", 8544.44),
        ("Ca II", 8664.52),
    )
)

INFRARED = tuple(Line(f"Br{n}", _hydrogen(4, n), _RYDBERG) for n in range(20, 10, -1)) + tuple(
    Line(name, round(air_to_vacuum(air), 3), _SMITH)
    for name, air in (
        ("K I", 15163.07),
        ("K I", 15168.38),
        ("Mn I", 15217.74),
        ("Fe I", 15207.53),
        ("Fe I", 15294.56),
        ("Ti I", 15543.76),
        ("Fe I", 15648.51),
        ("Ti I", 15715.57),
        ("Mg I", 15740.72),
        ("Mg I", 15748.99),
        ("Mg I", 15765.84),
        ("Si I", 15888.41),
        ("Si I", 15960.06),
        ("Si I", 16094.79),
        ("Ca I", 16150.76),
        ("Ca I", 16157.36),
        ("Si I", 16680.77),
        ("Al I", 16718.96),
        ("Al I", 16750.56),
        ("Al I", 16763.36),
    )
)

LINES = OPTICAL + INFRARED


def between(start: float, stop: float, factor: float = 1.0, lines: Iterable[Line] = LINES) -> Iterator[Line]:
    """Yield the lines seen between two wavelengths in Å, where they are seen: ``factor`` is 1 + redshift."""
    for line in sorted(lines, key=lambda line: line.wavelength):
        if start <= line.wavelength * factor <= stop:
            yield attrs.evolve(line, wavelength=line.wavelength * factor)
