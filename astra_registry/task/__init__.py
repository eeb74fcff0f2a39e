"""Tasks: parameters bound to values, with an identity, batches, states, events and a life."""

from astra_registry.task.events import Eventful


class Task(Eventful):
    """A piece of work with parameters: the root of analysis tasks and of data products."""


__all__ = ["Task"]
