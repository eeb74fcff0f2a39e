"""How a spectrum looks: a picture as an astronomer expects it, of one or of many."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from astra_registry.atomic import written
from astra_registry.errors import BadValue, MissingExtra
from astra_registry.reading.drawn import Drawn, flux_range, gaps, step_between
from astra_registry.reading.lines import Line
from astra_registry.reading.lines import between as lines_between

Arrangement = Literal["overlay", "offset", "stacked"]

_INK, _BAND, _BAD, _LINE, _MODEL, _SKY = "#1b2a41", "#9fb8d9", "#c1121f", "#5f6355", "#e07a1f", "#b8bcc4"
_ERROR_MEANS, _SKY_MEANS, _BAD_MEANS, _MODEL_MEANS = "±1σ", "bright sky line", "bad pixel", "the pipeline's fit"
_MEANINGS = (_ERROR_MEANS, _SKY_MEANS, _BAD_MEANS, _MODEL_MEANS)
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
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("plotting", "plot") from None
    drawn = [Drawn(one, between) for one in many]
    for one in drawn:
        varies = [name for name in one.told_apart_by if len({str(other.meta.get(name)) for other in drawn}) > 1]
        one.told_apart_by = varies or one.told_apart_by
    if not any(one.size for one in drawn):
        raise BadValue(f"no pixel lies between {between[0]:g} and {between[1]:g} Å" if between else "no pixel to plot")
    if len(drawn) == 1:
        parts = drawn[0].parts()
        figure = Figure(figsize=(11, 4.2 if len(parts) == 1 else 1.0 + 2.3 * len(parts)), layout="constrained", dpi=150)
        for axes, part in zip(figure.subplots(len(parts), squeeze=False)[:, 0], parts, strict=True):
            _draw(axes, part, error=error, bad=bad, model=model)
            _frame(axes, [part], lines)
        _explain(figure)
    elif arrangement == "stacked":
        figure = Figure(figsize=(11, 1.0 + 1.9 * len(drawn)), layout="constrained", dpi=150)
        panels = figure.subplots(len(drawn), sharex=True, squeeze=False)[:, 0]
        for number, (axes, one) in enumerate(zip(panels, drawn, strict=True)):
            _draw(axes, one, error=error, bad=bad, model=model)
            _frame(axes, [one], lines and number == 0)
            axes.set_title(one.label, loc="left", fontsize=8, pad=2)
            if one.bad.all():
                axes.set_yticks([])
        _explain(figure)
        panels[0].set_xlim(min(one.start for one in drawn), max(one.stop for one in drawn))
    elif arrangement in ("overlay", "offset"):
        offset = step_between(drawn) if arrangement == "offset" else 0.0
        figure = Figure(figsize=(11, 4.2 + (0.5 * len(drawn) if offset else 0)), layout="constrained", dpi=150)
        axes = figure.subplots()
        scaled = [one.scaled(number * offset) for number, one in enumerate(drawn)]
        for number, one in enumerate(scaled):
            colour = _CHIPS.get(str(one.meta.get("chip")), _COLOURS[number % len(_COLOURS)])
            _draw(
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
        _frame(axes, scaled, lines)
        axes.set_ylabel("Flux / median" + (" + offset" if offset else ""))
        if not offset:
            handles, labels = axes.get_legend_handles_labels()
            chosen = [(handle, label) for handle, label in zip(handles, labels, strict=True) if label not in _MEANINGS]
            _legend(axes, *zip(*chosen, strict=True), ncols=min(4, len(scaled)))
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


def _draw(
    axes: Any,
    one: Drawn,
    *,
    error: bool,
    bad: bool,
    model: bool,
    colour: str = _INK,
    sky_within: float = math.inf,
) -> None:
    """Draw one spectrum; of its pixels on bright sky lines those that are no farther from its level than that."""
    import numpy as np

    low, high = flux_range(one)
    if error:
        # An error as large as the picture tells nothing; the pixels at the edges of the chips have such.
        shown = np.where(one.error < high - low, one.error, np.nan)
        band = _BAND if colour == _INK else colour
        below, above = one.flux - shown, one.flux + shown
        axes.fill_between(
            one.wavelength, below, above, color=band, alpha=0.6 if band == _BAND else 0.2, lw=0, step="mid",
            label=_ERROR_MEANS,
        )  # fmt: skip
    # With the neighbours, so that the line goes on.
    near = one.sky | np.roll(one.sky, 1) | np.roll(one.sky, -1)
    near &= np.abs(one.flux - one.base) <= sky_within
    if near.any():
        grey = np.where(near, one.flux, np.nan)
        axes.step(one.wavelength, grey, where="mid", color=_SKY, lw=0.6, label=_SKY_MEANS)
    flux = np.where(one.sky, np.nan, one.flux)
    axes.step(one.wavelength, flux, where="mid", color=colour, lw=0.7, label=one.label)
    if model and one.model is not None:
        axes.plot(one.wavelength, one.model, color=_MODEL, lw=0.9, label=_MODEL_MEANS)
    marked = one.bad & ~gaps(one.bad)
    if bad and marked.any():
        # A rug along the lower edge: a bad pixel has a place, and no flux worth showing.
        axes.plot(
            one.wavelength[marked],
            [0.015] * int(marked.sum()),
            "|",
            transform=axes.get_xaxis_transform(),
            color=_BAD,
            ms=5,
            mew=0.8,
            clip_on=True,
            gid="bad pixels",
            label=_BAD_MEANS,
        )


def _explain(figure: Any) -> None:
    """Say above the first panel what else than flux is drawn in any of them."""
    drawn = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        if label in _MEANINGS
    }
    if drawn:
        labels = [label for label in _MEANINGS if label in drawn]
        _legend(figure.axes[0], [drawn[label] for label in labels], labels, ncols=len(labels))


def _legend(axes: Any, handles: Sequence[Any], labels: Sequence[str], *, ncols: int) -> None:
    """Put a legend above the panel, where it hides nothing."""
    axes.legend(
        handles, labels, loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False, borderpad=0.2,
        handlelength=1.4, columnspacing=1.2, ncols=ncols,
    )  # fmt: skip


def _frame(axes: Any, drawn: Sequence[Drawn], lines: bool) -> None:
    import numpy as np

    start, stop = min(one.start for one in drawn), max(one.stop for one in drawn)
    pad = 0.004 * (stop - start) or 1.0
    axes.set_xlim(start - pad, stop + pad)
    seen = [one for one in drawn if not one.bad.all()] or drawn
    lows, highs = zip(*(flux_range(one) for one in seen), strict=True)
    low, high = min(lows), max(highs)
    room = (high - low) or 1.0
    axes.set_ylim(low - 0.10 * room, high + (0.24 if lines else 0.08) * room)
    axes.minorticks_on()
    axes.tick_params(which="both", direction="in", top=True, right=True, labelsize=9)
    axes.grid(visible=True, which="major", lw=0.3, alpha=0.5)
    axes.set_axisbelow(True)
    if lines:
        factor = float(np.median([one.factor for one in drawn]))
        # Forbidden lines are of gas: in the spectrum of a star they name nothing.
        forbidden = all(one.meta.get("class") != "STAR" for one in drawn)
        _name_lines(
            axes,
            [line for line in lines_between(start, stop, factor) if forbidden or "[" not in line.name],
            0.011 * (stop - start),
        )


def _name_lines(axes: Any, found: Sequence[Line], narrow: float) -> None:
    """Write the names of lines at the top; those nearer to each other than ``narrow``, in Å, share one label."""
    groups: list[list[Line]] = []
    for line in found:
        if groups and line.wavelength - groups[-1][-1].wavelength < narrow:
            groups[-1].append(line)
        else:
            groups.append([line])
    for group in groups:
        for line in group:
            axes.axvline(line.wavelength, ymax=0.845, color=_LINE, lw=0.6, ls=(0, (4, 3)), alpha=0.7, zorder=0.5)
        names = list(dict.fromkeys(line.name for line in group))
        middle = sum(line.wavelength for line in group) / len(group)
        axes.text(
            middle,
            0.985,
            ", ".join(names),
            transform=axes.get_xaxis_transform(),
            rotation=90,
            ha="center",
            va="top",
            fontsize=7,
            color=_LINE,
            clip_on=True,
            gid="line name",
            bbox={"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 0.8},
        )


def _title(many: Sequence[Any]) -> str:
    told = [one.meta for one in many if isinstance(one.meta, dict)]
    if not told:
        return ""
    first = told[0]
    same = [name for name in ("object", "product", "release") if len({str(m.get(name, "")) for m in told}) == 1]
    words = [str(first[name]) for name in same if first.get(name)]
    if not words or "object" not in same or "object" not in first:
        words += [f"{len(many)} spectra"] if len(many) > 1 else []
    if "plate" in first and str(first.get("object", 0)).isdigit():
        # Of an optical spectrum: what stands in its file's name, not the long number of the object.
        number = f"{first['fiber']:0>4}" if "fiber" in first else str(first.get("catalogid", ""))
        name = "-".join(filter(None, (f"{first['plate']:0>4}", str(first.get("mjd", "")), number)))
        words = [name, *words[("object" in same and "object" in first) :]]
    if first.get("class"):
        words.append(f"{first['class']} {first.get('subclass', '')}".strip())
    if "redshift" in first:
        words.append(f"z = {first['redshift']:.4f}")
    if len(many) == 1:
        if "mjd" in first and "-" not in words[0]:
            words.append(f"MJD {first['mjd']}")
        if first.get("snr"):
            words.append(f"S/N {first['snr']:.0f}")
    elif "visit" in first or "exposure" in first:
        words.append(f"{len(many)} {'visits' if 'visit' in first else 'exposures'}")
    return "  ·  ".join(words)


def _frame_of(many: Sequence[Any]) -> str:
    frames = {one.meta.get("frame") for one in many if isinstance(one.meta, dict)} - {None}
    told = {"rest": ", at rest", "heliocentric": ", heliocentric", "observatory": ", as observed"}
    return told.get(str(frames.pop()), "") if len(frames) == 1 else ""
