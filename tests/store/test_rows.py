"""Tasks and batches get rows, and lose them."""

from __future__ import annotations
from astra_registry.store import StateStore, Status
from store.records import Star, stars


def test_smoke(store: StateStore):
    b = stars(3)
    assert store.query(b).one_or_none() is None
    row = store.create(b)
    assert row.status is Status.CREATED
    assert store.counts() == {Status.CREATED: 3}
    assert store.load(b.task_id) == b
    assert store.update(b, {"status_code": 10}, cascade=True) == 4
    assert store.status(b) is Status.RUNNING
    assert store.update(b, {"duration": 10}, cascade=True) == 4
    store.finish(b, 1)
    assert store.counts() == {Status.SUCCEEDED: 3}
    assert store.delete(b, cascade=True) == 4
    store.create(b)
    t = store.claim(2, of=b)
    assert len(t) == 2
    assert t[0].names == "s0" or store.engine.name != "sqlite"
    t += store.claim(2, of=b)
    assert len(t) == 3
    assert not store.claim(2, of=b)
    for i in t:
        store.finish(i, 30, ValueError("x"))
    assert store.status(b) is Status.FAILED
    assert store.data_products("x", "y", b.identity_rows()) == store.data_products("x", "y", b.identity_rows())
    store.start(b)
    store.start(b)
    assert store.query(Star("s0")).one().attempt == 3
