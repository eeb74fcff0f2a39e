"""Every error, with its cause and its remedy."""

from __future__ import annotations

import inspect

import markdown

from astra_registry import errors

REMEDIES = {
    "LookupFailed": "Look at the message: it names the closest known names.",
    "UnknownProduct": "`astra-registry list` shows what is installed; `astra-registry plugins` shows which plugins are, and whether they are well. `pip install astra-registry-sdsstree` brings every path name of the tree.",
    "UnknownRelease": "`astra-registry show PRODUCT` lists the releases that have the product. Releases are written `dr17`, `ipl3`, `sdsswork`; `DR17` and `IPL-3` are understood.",
    "UnknownPath": "`Tree(release).lookup_names()` lists the names that the release's tree has.",
    "UnknownParameter": "`astra-registry show PRODUCT` lists the parameters.",
    "UnknownTask": "`astra-registry state list` shows what the database holds; `astra-registry config` shows which database it is.",
    "NotIdentified": "Install the plugin whose product lives there, or `astra-registry-sdsstree` for all of the tree. A path must contain its place below the SAS.",
    "BadValue": "The message says which value, and what would have worked.",
    "MissingParameter": "Give the parameter that the message names; `astra-registry show PRODUCT --release R` tells what a release needs.",
    "SuperfluousParameter": "Leave it out: the release's template does not use it, and a value that changes nothing is usually a mistake.",
    "InvalidParameter": "Give a value of the parameter's type and among its choices. Values that take part in a path hold no `/`, `..` or control characters.",
    "UnequalLengths": "Give sequences of one length, or single values: those are repeated.",
    "UnsafePath": "The value would leave the folder that the product belongs to. There is no way around this.",
    "UnresolvedRoot": "The tree of that release does not define the root that the template begins with. Use another release, or `Tree(release, environ_overrides=[\"THE_ROOT\"])` with the variable set.",
    "NotOnSas": "A software product has a local place (below `product_root`) and no URL; ask for its path only.",
    "BadTable": "The message names the missing column or the wrong cell; `--PARAM VALUE` gives a constant for every row.",
    "BadSetting": "The message names the file, variable or option that the value came from. `astra-registry config` shows them all.",
    "IllegalMove": "A finished or skipped task must be started again before anything else can happen to it; see the table of moves in [tasks and states](../explanation/when-machines-die.md).",
    "PluginError": "`astra-registry plugins check` says what is wrong with which distribution, and what to do.",
    "BrokenPlugin": "Update or remove the distribution that the message names; the other plugins work meanwhile.",
    "PluginConflict": "`astra-registry plugins prefer PRODUCT PLUGIN` decides between the two, or uninstall one.",
    "MissingExtra": "Run the `pip install` that the message gives.",
    "FileFailed": "The message gives the path or URL and the reason.",
    "FileMissing": "The server answered that it has no such file: check the parameters with `astra-registry resolve --json`, and whether the release has that file at all.",
    "Unauthorized": "Unreleased data need an account: put it into `~/.netrc` (readable by you alone) or into `ASTRA_REGISTRY_USERNAME` and `ASTRA_REGISTRY_PASSWORD`. See [how to log in](../how-to/log-in.md).",
    "TransferFailed": "Run the same command again: what is here is kept, what failed is tried. `astra-registry doctor` looks at proxy, TLS and servers.",
    "CorruptFile": "`astra-registry verify --repair PATH` brings it again.",
    "StoreError": "Check the database's URL (`astra-registry config`) and that its server or folder can be reached and written.",
    "SchemaMismatch": "`astra-registry db upgrade` when the database is older; update astra-registry when it is newer.",
}


def every() -> list[type[errors.AstraRegistryError]]:
    """The exceptions in the order of the file, without the root."""
    known = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.AstraRegistryError)]
    known.sort(key=lambda c: inspect.getsourcelines(c)[1])
    return [c for c in known if c is not errors.AstraRegistryError]


def page() -> str:
    """The tree of exceptions, then each one."""
    tree = inspect.cleandoc((errors.__doc__ or "").partition("::")[2].partition("``exit_code``")[0])
    parts = [markdown.code(tree)]
    for error in every():
        builtin = next((b.__name__ for b in error.__mro__ if b.__module__ == "builtins"), "Exception")
        also = "" if builtin == "Exception" else f" Also a `{builtin}`."
        parts.append(
            f"### {error.__name__}\n\n{markdown.docstring(error)}{also} The command exits with {error.exit_code}.\n\n"
            f"*Remedy:* {REMEDIES[error.__name__]}\n"
        )
    return "\n".join(parts)
