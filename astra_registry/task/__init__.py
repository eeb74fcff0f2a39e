"""Tasks: parameters bound to values, with an identity, batches, states, events and a life."""

from astra_registry.task.life import Living


class Task(Living):
    """A piece of work with parameters: the root of analysis tasks and of data products."""


__all__ = ["Task"]
