"""Pictures in a terminal that can show them: the inline image protocols of iTerm2 and kitty."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import IO

_KITTY_CHUNK = 4096  # bytes of base64 in one escape sequence, the most that the protocol allows


def protocol(stream: IO[str], environment: Mapping[str, str] = os.environ) -> str | None:
    """Return ``"kitty"`` or ``"iterm2"`` when the stream is a terminal that says it can show pictures, else None.

    Inside tmux or screen it is None: they do not pass the pictures on.
    """
    if not stream.isatty() or environment.get("TERM", "").startswith(("screen", "tmux")) or "TMUX" in environment:
        return None
    program = environment.get("TERM_PROGRAM", "")
    if "KITTY_WINDOW_ID" in environment or environment.get("TERM") == "xterm-kitty" or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm", "mintty") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return None


def escape_sequences(png: bytes, by: str) -> str:
    """Return what to write to the terminal so that it shows the PNG picture, by one of the two protocols.

    https://iterm2.com/documentation-images.html and https://sw.kovidgoyal.net/kitty/graphics-protocol/
    """
    text = base64.b64encode(png).decode("ascii")
    if by == "iterm2":
        return f"\x1b]1337;File=inline=1;size={len(png)};width=100%:{text}\x07\n"
    pieces = [text[start : start + _KITTY_CHUNK] for start in range(0, len(text), _KITTY_CHUNK)] or [""]
    shown = []
    for number, piece in enumerate(pieces):
        control = "a=T,f=100," if number == 0 else ""
        shown.append(f"\x1b_G{control}m={int(number < len(pieces) - 1)};{piece}\x1b\\")
    return "".join(shown) + "\n"
