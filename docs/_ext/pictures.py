"""The pictures of the tutorial, drawn by the program from the files that come with it."""

from __future__ import annotations

from pathlib import Path

import program

SAS = Path(__file__).parents[2] / "tests/data/sas"
STAR = "dr17/apogee/spectro/redux/dr17/stars/apo25m/K04_083+13/apStar-dr17-2M19485057+5005279.fits"

# name -> what `astra-registry plot` is asked for
PICTURES = {"star.png": (str(SAS / STAR), "--lines", "--between", "15650", "15820")}


def draw(folder: Path) -> None:
    """Draw what is not there, or older than the file that it shows."""
    for name, arguments in PICTURES.items():
        picture = folder / name
        if not picture.exists() or picture.stat().st_mtime < Path(arguments[0]).stat().st_mtime:
            program.output("plot", *arguments, "-o", str(picture))
