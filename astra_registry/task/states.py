"""The state of a task in the database: its row made, asked for, changed and deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from astra_registry.errors import InvalidParameter
from astra_registry.task.life import Living

if TYPE_CHECKING:
    from sqlalchemy.orm import Query

    from astra_registry.store import StateStore, TaskState


class Stateful(Living):
    """A task whose state is kept in a database; every method works on the default store, or on the one it is given.

    Each raises StoreError when the database cannot be used.
    """

    @overload
    def query_state(
        self, full_output: Literal[False] = False, *, store: StateStore | None = None
    ) -> Query[TaskState]: ...
    @overload
    def query_state(
        self, full_output: Literal[True], *, store: StateStore | None = None
    ) -> tuple[Query[TaskState], type[TaskState], dict[str, Any]]: ...
    def query_state(self, full_output: bool = False, *, store: StateStore | None = None) -> Any:
        """Return the query for this task's row; it reads afresh whenever it is used, and holds no lock.

        With `full_output`: the query, the model that it is about, and the keywords of its filter.
        """
        parts = opened(store).query_parts(self)
        return parts if full_output else parts[0]

    def create_state(self, *, store: StateStore | None = None) -> TaskState:
        """Return this task's row, made unless it is there; a batch's with its members, in order, and their links.

        Many may do so at once; it costs a few statements, whatever the size of the batch.
        """
        return opened(store).create(self)

    def get_or_create_state(
        self, defaults: Mapping[str, object] | None = None, *, store: StateStore | None = None
    ) -> tuple[TaskState, bool]:
        """Return this task's row, and whether it was made just now, with `defaults` as values of columns.

        Of a batch only its own row is made; `create_state` adds the members.
        """
        return opened(store).get_or_create(self, defaults, members=False)

    def update_state(
        self, state: Mapping[str, object], cascade: bool = False, *, store: StateStore | None = None
    ) -> int:
        """Set columns of this task's row and return the number of rows; with `cascade` of a batch and its members.

        The status of a batch follows from its members: without `cascade`, it is theirs that counts. Raises
        UnknownTask without a row, UnknownParameter for an unknown column, InvalidParameter for an impossible value and
        IllegalMove for a state that may not follow; then nothing has changed.
        """
        return opened(store).update(self, state, cascade=cascade)

    def delete_state(self, cascade: bool = False, *, store: StateStore | None = None) -> int:
        """Delete this task's row with its links and events; with `cascade` also the members that no other batch has.

        Returns the number of rows that went, 0 when there was none.
        """
        return opened(store).delete(self, cascade=cascade)

    def get_or_create_data_model_relationships(self, *, store: StateStore | None = None) -> dict[str, tuple[int, ...]]:
        """Return ``{"data_product_pk": (pk,)}``: this very product in the table of data products; one a member."""
        product = getattr(self, "sdss_data_model_name", None) or self.task_family
        release = str(getattr(self, "release", None) or "")
        return {"data_product_pk": opened(store).data_products(product, release, self._product_rows(product, release))}

    def _product_rows(self, product: str, release: str) -> Iterator[tuple[str, str]]:
        import hashlib

        # How it is fetched is not what it is; and a class that mixes a product in adds what the file does not have.
        names = [p.name for p in self._parameters.values() if p.significant and p.in_path]
        for _, text in self.identity_rows():
            values = json.loads(text)
            parameters = json.dumps({name: values[name] for name in sorted(names) if name in values})
            yield hashlib.sha256(json.dumps([product, release, parameters]).encode()).hexdigest(), parameters


def opened(store: StateStore | None) -> StateStore:
    """Return the store that was given, else the default one."""
    from astra_registry.store import StateStore  # SQLAlchemy is for those who ask for a state

    if isinstance(store, StateStore):
        return store
    if store is not None:
        raise InvalidParameter(f"store is a StateStore, made with StateStore(URL), not {type(store).__name__}")
    return StateStore.default()
