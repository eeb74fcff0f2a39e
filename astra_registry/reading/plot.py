"""How a spectrum looks: a picture as an astronomer expects it, of one or of many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from astra_registry.atomic import written
from astra_registry.errors import BadValue, MissingExtra
from astra_registry.reading.drawn import Drawn, step_between
from astra_registry.reading.panel import MEANINGS, draw, explain, frame, legend

Arrangement = Literal["overlay", "offset", "stacked"]

_CHIPS = {"blue": "#2a6f97", "green": "#588157", "red": "#c1121f"}
_COLOURS = ("#1b2a41", "#2a6f97", "#c1121f", "#588157", "#e07a1f", "#6a4c93", "#8d6b00", "#4d908e")


def plot(
    spectra: Any,
    *,
    arrangement: Arrangement = "offset",
    lines: bool = False,
    error: bool = True,
    bad: bool = True,
    model: bool = False,
    between: tuple[float, float] | None = None,
    flux_between: tuple[float, float] | None = None,
    title: str | None = None,
) -> Any:
    """Return a matplotlib Figure of a spectrum, or of several: a list of them, a SpectrumCollection.

    One spectrum with wide gaps has a panel for each part (of APOGEE: a chip each). Several are drawn in one panel,
    ``"overlay"`` or with an ``"offset"`` and scaled to their medians, or ``"stacked"`` in a panel each. ``error``
    shades one standard deviation; ``bad`` marks bad pixels, whose flux is not drawn, in red at the lower edge; pixels
    on bright sky lines are grey and do not count for the scale; an overlay leaves them out. ``lines`` writes the names
    of lines where they are seen at the velocity or redshift that ``meta`` tells; ``model`` adds the pipeline's fit;
    ``between`` limits the wavelengths, in Å, and ``flux_between`` the axis of flux, which else follows the spectrum.
    Raises `MissingExtra` without matplotlib.
    """
    many = _listed(spectra)
    if not many:
        raise BadValue("there is no spectrum to plot")
    drawn = [Drawn(one, between) for one in many]
    for one in drawn:
        varies = [name for name in one.told_apart_by if len({str(other.meta.get(name)) for other in drawn}) > 1]
        one.told_apart_by = varies or one.told_apart_by
    if not any(one.size for one in drawn):
        raise BadValue(f"no pixel lies between {between[0]:g} and {between[1]:g} Å" if between else "no pixel to plot")
    if len(drawn) == 1:
        figure = _alone(drawn[0], lines=lines, error=error, bad=bad, model=model)
    elif arrangement == "stacked":
        figure = _stacked(drawn, lines=lines, error=error, bad=bad, model=model)
    elif arrangement in ("overlay", "offset"):
        offset = step_between(drawn) if arrangement == "offset" else 0.0
        figure = _in_one_panel(drawn, offset, lines=lines, error=error)
    else:
        raise BadValue(f"spectra are arranged 'overlay', 'offset' or 'stacked', not {arrangement!r}")
    if flux_between is not None:
        for axes in figure.axes:
            axes.set_ylim(*flux_between)
    figure.suptitle(title if title is not None else _title(many), fontsize=11, x=0.01, ha="left", fontweight="bold")
    figure.supxlabel("Vacuum wavelength (Å)" + _frame_of(many), fontsize=10)
    if len(drawn) == 1 or arrangement == "stacked":
        figure.supylabel("Flux (10$^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$)", fontsize=10)
    return figure


def _figure(height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("plotting", "plot") from None
    return Figure(figsize=(11, height), layout="constrained", dpi=150)


def _alone(one: Drawn, *, lines: bool, error: bool, bad: bool, model: bool) -> Any:
    """Return the figure of one spectrum, with a panel for each of its parts."""
    parts = one.parts()
    figure = _figure(4.2 if len(parts) == 1 else 1.0 + 2.3 * len(parts))
    for axes, part in zip(figure.subplots(len(parts), squeeze=False)[:, 0], parts, strict=True):
        draw(axes, part, error=error, bad=bad, model=model)
        frame(axes, [part], lines)
    explain(figure)
    return figure


def _stacked(drawn: list[Drawn], *, lines: bool, error: bool, bad: bool, model: bool) -> Any:
    """Return the figure of several spectra, with a panel for each."""
    figure = _figure(1.0 + 1.9 * len(drawn))
    panels = figure.subplots(len(drawn), sharex=True, squeeze=False)[:, 0]
    for number, (axes, one) in enumerate(zip(panels, drawn, strict=True)):
        draw(axes, one, error=error, bad=bad, model=model)
        frame(axes, [one], lines and number == 0)
        axes.set_title(one.label, loc="left", fontsize=8, pad=2)
        if one.bad.all():
            axes.set_yticks([])
    explain(figure)
    panels[0].set_xlim(min(one.start for one in drawn), max(one.stop for one in drawn))
    return figure


def _in_one_panel(drawn: list[Drawn], offset: float, *, lines: bool, error: bool) -> Any:
    """Return the figure of several spectra scaled to their medians, each so much above the one before."""
    figure = _figure(4.2 + (0.5 * len(drawn) if offset else 0))
    axes = figure.subplots()
    scaled = [one.scaled(number * offset) for number, one in enumerate(drawn)]
    for number, one in enumerate(scaled):
        colour = _CHIPS.get(str(one.meta.get("chip")), _COLOURS[number % len(_COLOURS)])
        draw(
            axes,
            one,
            error=error and len(drawn) <= 4,
            bad=False,
            model=False,
            colour=colour,
            sky_within=offset / 2,
        )
        if offset:
            axes.annotate(
                one.label,
                (1.005, one.level()),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8,
                color=colour,
            )
    frame(axes, scaled, lines)
    axes.set_ylabel("Flux / median" + (" + offset" if offset else ""))
    if not offset:
        handles, labels = axes.get_legend_handles_labels()
        chosen = [(handle, label) for handle, label in zip(handles, labels, strict=True) if label not in MEANINGS]
        legend(axes, *zip(*chosen, strict=True), ncols=min(4, len(scaled)))
    return figure


def save(figure: Any, path: str | os.PathLike[str], *, overwrite: bool = True) -> str:
    """Write the picture in the format of the path's ending (png, pdf, svg …), whole or not at all; return the path."""
    target = os.fspath(path)
    ending = os.path.splitext(target)[1].lower().lstrip(".")
    if ending not in figure.canvas.get_supported_filetypes():
        raise BadValue(f"no picture format is known for {target!r}; it may end in .png, .pdf or .svg")
    with written(target, overwrite=overwrite, suffix=f".{ending}") as private:
        figure.savefig(private, format=ending)
    return target


def _listed(spectra: Any) -> list[Any]:
    if hasattr(spectra, "spectral_axis") and getattr(spectra.flux, "ndim", 1) == 1:
        return [spectra]
    if hasattr(spectra, "spectral_axis"):  # a SpectrumCollection
        return [spectra[row] for row in range(len(spectra.flux))]
    if isinstance(spectra, Iterable):
        return [one for part in spectra for one in _listed(part)]
    raise BadValue(f"{type(spectra).__name__} is not a spectrum or a list of spectra")


def _title(many: Sequence[Any]) -> str:
    """Return what the spectra share: their object and what is known of it, product, release; and how many they are."""
    told = [one.meta for one in many if isinstance(one.meta, dict)]
    if not told:
        return ""
    first, names = told[0], {_object_of(meta) for meta in told}
    of_one_object = len(names) == 1
    name = names.pop() if of_one_object else ""
    shared = [key for key in ("product", "release") if len({str(meta.get(key)) for meta in told}) == 1]
    words = [name, *(str(first.get(key) or "") for key in shared)]
    if len(many) > 1 and not name:
        words.append(f"{len(many)} spectra")
    if of_one_object and first.get("class"):
        words.append(f"{first['class']} {first.get('subclass', '')}".strip())
    if of_one_object and "redshift" in first:
        words.append(f"z = {first['redshift']:.4f}")
    if len(many) == 1:
        if "mjd" in first and str(first["mjd"]) not in name:
            words.append(f"MJD {first['mjd']}")
        if first.get("snr"):
            words.append(f"S/N {first['snr']:.0f}")
    elif "visit" in first or "exposure" in first:
        words.append(f"{len(many)} {'visits' if 'visit' in first else 'exposures'}")
    return "  ·  ".join(filter(None, words))


def _object_of(meta: Mapping[str, Any]) -> str:
    """Return the object's name; of an optical spectrum what stands in its file's name, not the object's long number."""
    name = str(meta.get("object", ""))
    if "plate" not in meta or (name and not name.isdigit()):
        return name
    number = f"{meta['fiber']:0>4}" if "fiber" in meta else str(meta.get("catalogid", ""))
    return "-".join(filter(None, (f"{meta['plate']:0>4}", str(meta.get("mjd", "")), number)))


def _frame_of(many: Sequence[Any]) -> str:
    frames = {one.meta.get("frame") for one in many if isinstance(one.meta, dict)} - {None}
    told = {"rest": ", at rest", "heliocentric": ", heliocentric", "observatory": ", as observed"}
    return told.get(str(frames.pop()), "") if len(frames) == 1 else ""
