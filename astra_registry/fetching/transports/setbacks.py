"""What goes wrong on the way in a manner that another try may mend."""

from __future__ import annotations

from astra_registry.errors import TransferFailed


class Setback(TransferFailed):
    """A try failed, and the next one may not: hung up, silent, busy.

    A plain TransferFailed is final. ``retry_after`` is what the server asked for, in seconds; ``unreachable`` says that
    the host is to blame rather than the file; ``pause_host`` that it asked for a pause of everybody.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, unreachable: bool = False, pause_host: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.unreachable = unreachable
        self.pause_host = pause_host


class Stopped(Exception):
    """The run is being ended (Ctrl-C, or nobody takes the results any more)."""
