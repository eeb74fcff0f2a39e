"""A new plugin: a complete distribution for one product, made from what is known of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence

import attrs

from astra_registry.declarations import Declaration, attribute_of, class_name
from astra_registry.errors import BadValue, UnresolvedRoot
from astra_registry.hooks import API_VERSION
from astra_registry.parameters import REQUIRED, Parameter
from astra_registry.paths.parts import Derived, Field
from astra_registry.paths.template import PathTemplate
from astra_registry.release import canonical, releases
from astra_registry.tree import Tree

TYPES: Mapping[str, type] = {"int": int, "str": str, "float": float, "bool": bool}

# What keys of the tree mean; other keys are text.
_MEANINGS: Mapping[str, tuple[type, str]] = {
    "mjd": (int, "The date of the observation."),
    "plate": (str, "The plate."),
    "plateid": (int, "The plate."),
    "field": (str, "The name of the field."),
    "fieldid": (int, "The field."),
    "fiber": (int, "The number of the fibre."),
    "fiberid": (int, "The number of the fibre."),
    "healpix": (int, "The HEALPix pixel."),
    "catalogid": (int, "The identifier of the target in SDSS-V's catalogue."),
    "sdss_id": (int, "The SDSS-V identifier of the star."),
    "telescope": (str, "The telescope."),
    "obj": (str, "The name of the object."),
    "run2d": (str, "The version of the two-dimensional reduction."),
    "apred": (str, "The version of the APOGEE reduction."),
    "v_astra": (str, "The version of Astra."),
}


@attrs.frozen(kw_only=True)
class Skeleton:
    """What a new distribution is made of: a product, and the names that follow from its own."""

    product: Declaration

    @property
    def word(self) -> str:
        """The plugin's name: ``mwmstar``, ``spec_lite``."""
        return re.sub(r"[^a-z0-9]+", "_", self.product.name.lower()).strip("_")

    @property
    def module(self) -> str:
        """The module's name."""
        return f"astra_registry_{self.word}"

    @property
    def distribution(self) -> str:
        """The distribution's name, and its folder's."""
        return self.module.replace("_", "-")

    def files(self) -> dict[str, str]:
        """Return the distribution's files: path → content."""
        name, cls = self.product.name, class_name(self.product.name)
        values = {
            "name": name,
            "summary": self.product.summary,
            "distribution": self.distribution,
            "module": self.module,
            "word": self.word,
            "cls": cls,
            "entry": name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name),
        }
        return {
            "pyproject.toml": _PYPROJECT.format(**values),
            f"{self.module}.py": self.code(),
            f"tests/test_{self.word}.py": _TESTS.format(**values),
            "README.md": _README.format(**values),
            ".github/workflows/test.yml": _WORKFLOW,
            ".gitignore": "__pycache__/\n.pytest_cache/\n.hypothesis/\nbuild/\ndist/\n",
        }

    def code(self) -> str:
        """Return the module's source."""
        product = self.product
        lines = [
            f'"""The data product {product.name}."""',
            "",
            "from astra_registry import SDSS5DataModelTask, hookimpl, parameter",
            "",
            f"astra_registry_api = {API_VERSION}  # the version of the plugin interface that this is written for",
            "",
            "",
            f"class {class_name(product.name)}(SDSS5DataModelTask):",
            f'    """{_in_docstring(product.summary)}"""',
            "",
            f"    sdss_data_model_name = {json.dumps(product.name)}",
        ]
        if product.templates is not None:
            lines.append("    templates = {  # release -> path template, in the tree's notation")
            lines += [f"        {json.dumps(r)}: {json.dumps(text)}," for r, text in product.templates.items()]
            lines.append("    }")
        lines.append("")
        lines += [f"    {_source_of(p)}" for p in product.parameters]
        if not product.parameters:
            lines.pop()
        lines += ["", "", "@hookimpl", "def astra_registry_products():", '    """Bring the product of this module."""']
        lines += [f"    return [{class_name(product.name)}]", ""]
        return "\n".join(lines)

    def write(self, directory: str) -> str:
        """Write the distribution into a new folder of `directory`, and return its path.

        Raises BadValue when the folder is there and not empty.
        """
        folder = os.path.join(directory, self.distribution)
        if os.path.lexists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
            raise BadValue(f"{folder} is there already; --directory names another place")
        for path, content in self.files().items():
            target = os.path.join(folder, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "x", encoding="utf-8") as file:
                file.write(content)
        return folder


def declared(
    name: str,
    *,
    summary: str = "",
    templates: Mapping[str, str] | None = None,
    parameters: Iterable[Parameter] = (),
    known: Declaration | None = None,
) -> Declaration:
    """Return the declaration of a new product, checked: every release can be resolved.

    Without `templates` the tree's own of that name. `parameters` are what the author says of them, `known` what an
    installed plugin does; the rest is guessed from the templates. Raises BadValue, UnknownRelease.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII):
        raise BadValue(f"'{name}' cannot be a product's name: letters, digits, '-', '_' and '.'")
    given, chosen = {p.name: p for p in parameters}, templates
    if chosen is None:
        texts, chosen = templates_of_tree(name)
    else:
        texts = {canonical(release): text for release, text in chosen.items()}
        chosen = texts
    compiled = {release: Tree(release).compile(text, name=name) for release, text in texts.items()}
    spelled = {key: p for p in (known.parameters if known is not None else ()) for key in (p.name, *p.aliases)}
    made: dict[str, Parameter] = {}
    for key, is_everywhere in keys(compiled.values()).items():
        if key in given:
            made[key] = given.pop(key)
        elif key in spelled:
            same = {key, spelled[key].name, *spelled[key].aliases}  # releases may spell it in several ways
            is_everywhere = all(same & set(template.keys) for template in compiled.values())
            made[spelled[key].name] = _plain(spelled[key], is_everywhere)
        else:
            made[key] = _guessed(key, compiled.values(), is_everywhere)
    if given:
        raise BadValue(
            f"no template of {name} names {', '.join(given)}; they name {', '.join(keys(compiled.values()))}"
        )
    said = " ".join(summary.split()) or (known.summary if known is not None else "") or f"The data product {name}"
    product = Declaration(name=name, summary=said.rstrip(".") + ".", parameters=tuple(made.values()), templates=chosen)
    built = product.build()
    for release in texts:
        built.plan(release)
    return product


def templates_of_tree(name: str) -> tuple[dict[str, str], dict[str, str] | None]:
    """Return the tree's templates of a name by release, and what a class has to say of them: nothing, when all work.

    Raises BadValue when no release has the name.
    """
    found: dict[str, str] = {}
    all_work = True
    for release in releases():
        tree = Tree(release)
        if tree.has_name(name):
            try:
                tree.path_template(name)
            except UnresolvedRoot:
                all_work = False
            else:
                found[release] = f"={name}"
    if not found:
        raise BadValue(f"no release of the tree has a path '{name}': say where it is with --release R --template T")
    return found, None if all_work else dict(found)


def keys(templates: Iterable[PathTemplate]) -> dict[str, bool]:
    """Return the keys of several templates, and whether each is in all of them."""
    listed = list(templates)
    found = dict.fromkeys(key for template in listed for key in template.lookup_keys)
    return {key: all(key in template.keys for template in listed) for key in found}


def parameter_of(text: str) -> Parameter:
    """Return the parameter that ``name:type:doc`` declares; type and doc may be left out. Raises BadValue."""
    name, _, rest = text.partition(":")
    kind, _, doc = rest.partition(":")
    if kind and kind not in TYPES:
        raise BadValue(f"--parameter {text}: '{kind}' is no type; there are {', '.join(TYPES)}")
    meant = _MEANINGS.get(name, (str, ""))
    return _parameter(name, TYPES[kind] if kind else meant[0], doc.strip() or meant[1] or _about(name), REQUIRED)


def _guessed(key: str, templates: Iterable[PathTemplate], is_everywhere: bool) -> Parameter:
    kind, doc = _MEANINGS.get(key, (str, _about(key)))
    for template in templates:
        for part in template.parts:
            if isinstance(part, Field) and part.key == key and part.spec.endswith("d"):
                kind = int
            if isinstance(part, Derived) and any(key in gap.integers for _, gap in part.gaps):
                kind = int
    return _parameter(key, kind, doc, REQUIRED if is_everywhere else None)


def _plain(known: Parameter, is_everywhere: bool) -> Parameter:
    """Return a parameter as another plugin declares it, without defaults that are code."""
    default = known.default
    if callable(default) or known.differs_by_release:
        default = REQUIRED
    if default is REQUIRED and not is_everywhere:
        default = None
    return attrs.evolve(known, default=default, check=None, refine=())


def _parameter(name: str, kind: type, doc: str, default: object) -> Parameter:
    if not name.isidentifier():
        raise BadValue(f"'{name}' cannot be the name of a parameter")
    return Parameter(name=name, attribute=attribute_of(name), type=kind, doc=doc, default=default, batch=True)


def _about(key: str) -> str:
    return f"The {key.replace('_', ' ')}."


def _in_docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', r"\"\"\"")


def _source_of(p: Parameter) -> str:
    """Return the line of a class that declares a parameter."""
    arguments = [json.dumps(p.doc, ensure_ascii=False), "batch=True"]
    if p.default is not REQUIRED:
        arguments.append(f"default={_literal(p.default)}")
    if p.unit:
        arguments.append(f"unit={json.dumps(p.unit)}")
    if p.choices:
        arguments.append(f"choices={_tuple(p.choices)}")
    if p.aliases:
        arguments.append(f"aliases={_tuple(p.aliases)}")
    if p.columns:
        arguments.append(f"columns={dict(p.columns)!r}")
    return f"{p.attribute}: {p.type_name} = parameter({', '.join(arguments)})"


def _tuple(values: Sequence[object]) -> str:
    return f"({', '.join(map(_literal, values))}{',' * (len(values) == 1)})"


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


_PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.24"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "0.1.0"
description = "The data product {name} for astra-registry."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["astra-registry>=1.0"]

[project.optional-dependencies]
test = ["astra-registry[testing]"]

# The plugin: a module with hooks.
[project.entry-points.astra_registry]
{word} = "{module}"

# Its products: asking for one imports this plugin, and no other.
[project.entry-points."astra_registry.products"]
{entry} = "{module}:{cls}"

[tool.hatch.build.targets.wheel]
only-include = ["{module}.py"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""

_TESTS = '''\
"""{name} does what every data product has to do."""

from astra_registry.testing import ProductSuite


class Test{cls}(ProductSuite):
    plugin = "{module}"
'''

_README = """\
# {distribution}

Brings `{name}` to astra-registry: {summary}

```
pip install {distribution}
astra-registry show {name}
```

## Work on it

```
pip install -e '.[test]'
pytest
astra-registry plugins check
```
"""

_WORKFLOW = """\
name: test
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        python: ["3.11", "3.12", "3.13"]
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: ${{ matrix.python }}
      - run: pip install '.[test]'
      - run: pytest
      - run: astra-registry plugins check
"""
