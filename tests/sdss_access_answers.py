"""Run in a process of its own: what sdss_access says about one release, as JSON lines on its standard output.

Arguments: the release. Input: one JSON list [name, parameters] a line. Output: first a line about the release, then one
a question, {"full": …, "location": …, "url": …}, or {"error": …}.
"""

import functools
import json
import os
import sys

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from sdss_access.path import Path  # noqa: E402

path = Path(release=sys.argv[1])
# The source of a function does not change: read it once, and not for every path (it takes 2 ms).
path._find_source = functools.lru_cache(None)(path._find_source)

from sdss_access import tree  # noqa: E402

about = {
    "release": path.release,
    "public": path.public,
    "netloc": path.netloc,
    "remote_base": path.remote_base,
    "templates": dict(path.templates),
    "defined": sorted(name.upper() for name in tree.to_dict()),
    "keys": {name: sorted(set(path.lookup_keys(name))) for name in path.lookup_names()},
    "releases": path.get_available_releases(),
    "public_releases": path.get_available_releases(public=True),
}
print(json.dumps(about), file=answers, flush=True)
for line in sys.stdin:
    name, parameters = json.loads(line)
    try:
        told = {"full": path.full(name, **parameters), "location": path.location(name, **parameters)}
        told["url"] = path.url(name, **parameters)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is sdss_access's answer
        told = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(told), file=answers)
answers.flush()
