"""One panel of a plot: a spectrum with its errors, bad pixels and model, the names of lines, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from astra_registry.reading.drawn import Drawn, flux_range, gaps
from astra_registry.reading.lines import Line
from astra_registry.reading.lines import between as lines_between

_INK, _BAND, _BAD, _LINE, _MODEL, _SKY = "#1b2a41", "#9fb8d9", "#c1121f", "#5f6355", "#e07a1f", "#b8bcc4"
_ERROR_MEANS, _SKY_MEANS, _BAD_MEANS, _MODEL_MEANS = "±1σ", "bright sky line", "bad pixel", "the pipeline's fit"
MEANINGS = (_ERROR_MEANS, _SKY_MEANS, _BAD_MEANS, _MODEL_MEANS)


def draw(
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


def explain(figure: Any) -> None:
    """Say above the first panel what else than flux is drawn in any of them."""
    drawn = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        if label in MEANINGS
    }
    if drawn:
        labels = [label for label in MEANINGS if label in drawn]
        legend(figure.axes[0], [drawn[label] for label in labels], labels, ncols=len(labels))


def legend(axes: Any, handles: Sequence[Any], labels: Sequence[str], *, ncols: int) -> None:
    """Put a legend above the panel, where it hides nothing."""
    axes.legend(
        handles, labels, loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False, borderpad=0.2,
        handlelength=1.4, columnspacing=1.2, ncols=ncols,
    )  # fmt: skip


def frame(axes: Any, drawn: Sequence[Drawn], lines: bool) -> None:
    """Set a panel's limits, ticks and grid by what is drawn in it; *lines* writes the names of lines at the top."""
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
