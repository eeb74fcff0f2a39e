"""What a product's class or declaration may not say: refused where it is declared, so that it harms nobody who asks."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from astra_registry.errors import BadValue


def check_name(name: Any) -> None:
    """Raise BadValue when a name is none that a product may have: one line of text, and no path."""
    if name is not None and not (isinstance(name, str) and name.strip() and "/" not in name and name.isprintable()):
        raise BadValue(f"{name!r} cannot be the name of a product: it is one line of text, without '/'")


def check_parameters(product: str, attributes: Collection[str], members: Collection[str]) -> None:
    """Raise BadValue when a parameter has the name of a member: the member would hide its value."""
    for attribute in attributes:
        if attribute in members:
            raise BadValue(
                f"{product}: every product has a member '{attribute}', which would hide the parameter: write "
                f"'{attribute}_', which templates and tables know as '{attribute}'"
            )


def check_cards(product: str, cards: Any, parameters: Collection[str]) -> None:
    """Raise BadValue when the cards of a product are no regular expressions, or read what is no parameter of it."""
    if not isinstance(cards, Mapping):
        raise BadValue(f"{product}: cards is a mapping, card to regular expression, not {cards!r}")
    for card, pattern in cards.items():
        try:
            groups = re.compile(pattern).groupindex
        except (re.error, TypeError) as error:
            raise BadValue(f"{product}: {pattern!r} of the card {card} is no regular expression: {error}") from None
        for name in groups:
            if name not in parameters:
                raise BadValue(f"{product}: the card {card} tells '{name}', which is no parameter of it")
