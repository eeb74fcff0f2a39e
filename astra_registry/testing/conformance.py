"""The suite that a plugin's tests inherit: what every data product has to do, each failure told as advice."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import pytest

from astra_registry.declarations import Declaration
from astra_registry.errors import AstraRegistryError, MissingExtra, NotIdentified, NotOnSas, UnresolvedRoot
from astra_registry.plugins import Plugin, installed_plugins
from astra_registry.product import DataProduct
from astra_registry.registries import Registry
from astra_registry.registries import registry as installed_products
from astra_registry.released import unknown_releases
from astra_registry.settings import override


class ProductSuite:
    """The tests of a plugin's products; inherit it, and name the plugin::

        class TestMwmStar(ProductSuite):
            plugin = "astra_registry_mwmstar"

    `plugin` is the name of a module, of an installed plugin or its distribution, or the path of a ``products.toml``.
    """

    plugin: ClassVar[str] = ""
    draws: ClassVar[int] = 12
    """How many sets of parameters are tried for each release of each product."""

    # ------------------------------------------------------------ the plugin

    def test_the_plugin_loads_and_fits_this_version_of_the_interface(self) -> None:
        """It imports, its hooks have the right names, and they return what they should."""
        for info in _registry(self.plugin).plugins:
            if info.error:
                advise(f"{info.name} is {info.status}: {info.error}", "`astra-registry plugins check` says the same")

    def test_the_plugin_brings_a_product(self) -> None:
        """A plugin for which this suite is run is one that brings products."""
        if not _registry(self.plugin).names():
            advise(
                f"{self.plugin} brings no product",
                "return its classes from astra_registry_products(), marked with @hookimpl",
            )

    def test_the_metadata_names_the_products_that_the_plugin_brings(self) -> None:
        """So that asking for a product imports the plugin that has it, and no other."""
        plugin = _plugin(self.plugin)
        if plugin is None or not plugin.product_points:
            return
        unnamed = sorted(set(_registry(self.plugin).names()) - set(plugin.product_points))
        if unnamed:
            advise(
                f"{plugin.distribution} brings {', '.join(unnamed)}, which its metadata does not name",
                'name every product in pyproject.toml, in [project.entry-points."astra_registry.products"], '
                "and install it again",
            )

    def test_importing_and_resolving_are_light_and_change_nothing(self, tmp_path: Path) -> None:
        """No astropy, numpy and the like, nothing printed, no file, no change of the process."""
        from astra_registry.testing.lightness import effects

        found = effects(_importable(self.plugin), tmp_path)
        if found["failed"]:
            advise(f"in a fresh process, {self.plugin} fails: {found['failed']}", "mend that first")
        if found["modules"]:
            advise(
                f"importing {self.plugin} loads {', '.join(found['modules'])}",
                "import them inside the function that needs them, or in a module that only a reader imports",
            )
        if found["changed"]:
            advise(f"importing {self.plugin} changes {', '.join(found['changed'])}", "leave the process as it is")
        if found["printed"]:
            advise(f"importing {self.plugin} prints {found['printed']!r}", "print nothing: programs read that output")
        if found["files"]:
            advise(f"importing {self.plugin} writes {', '.join(found['files'])}", "write nothing on import")

    # ------------------------------------------------------------ each product

    def test_a_product_says_what_it_is(self, product: type[DataProduct]) -> None:
        """Its docstring, and a sentence for each parameter: what `list`, `show` and `--help` print."""
        if not (product.__doc__ or "").strip():
            advise(f"{product._label()} has no docstring", "its first line is what `astra-registry list` shows")
        for name, declared in product.product_parameters().items():
            if not declared.doc.strip():
                advise(
                    f"parameter {name} of {product._label()} says nothing", f'write {name} = parameter("What it is.")'
                )
        if unknown := unknown_releases(product.templates or ()):
            advise(
                f"{product._label()} has a template of a release that the installed sdss-tree does not know: "
                f"{', '.join(unknown)}",
                "correct its name, or take a newer tree: pip install -U sdss-tree",
            )
        if not product.releases():
            advise(
                f"{product._label()} is in no release",
                "give it templates, or the name of a path that the tree has",
            )

    def test_the_declared_examples_hold(self, product: type[DataProduct]) -> None:
        """Each resolves, and its path is identified as this very product."""
        for release, parameters in product.examples:
            try:
                example = product(release=release, **parameters)
                path = example.local_path
            except AstraRegistryError as error:
                advise(f"the example {release} {dict(parameters)} of {product._label()} fails: {error}", "correct it")
            if path is not None:
                _identified(_registry(self.plugin), example, path)

    # ------------------------------------------------------------ each release of each product

    def test_a_release_resolves(self, product: type[DataProduct], release: str) -> None:
        """Its template names parameters of the product, and gives a whole path for whatever they may be."""

        def resolves(made: DataProduct, path: str) -> None:
            try:
                where, url = made.location, made.remote_path
            except NotOnSas:
                where, url = path.lstrip("/"), None
            segments = where.split("/")
            if any(segment in ("", ".", "..") for segment in segments):
                advise(f"{_called(made)} has an empty folder: {where}", f"correct its template in {release}")
            if any(sign in where for sign in ("$", "{", "}", "|")):
                advise(f"{_called(made)} has a gap that is not filled: {where}", f"correct its template in {release}")
            if not path.endswith(where) or (url is not None and not url.startswith(("http://", "https://"))):
                advise(
                    f"{_called(made)} has the path {path}, the location {where} and the URL {url}", "they must agree"
                )

        _for_drawn(self, product, release, resolves)

    def test_identify_undoes_resolve(self, product: type[DataProduct], release: str) -> None:
        """The path tells the product, the release and the parameters again."""

        def undone(made: DataProduct, path: str) -> None:
            _identified(_registry(self.plugin), made, path)

        _for_drawn(self, product, release, undone)

    def test_a_product_survives_pickling_and_text(self, product: type[DataProduct], release: str) -> None:
        """What is sent to another process, or kept in a database, is the same product again."""
        name = product._label()
        if product.__module__ == Declaration.__module__ and (
            name not in installed_products
            or installed_products.declaration(name) != _registry(self.plugin).declaration(name)
        ):
            pytest.skip(f"{name} is not the installed product of that name: no process would find it again")

        def survives(made: DataProduct, path: str) -> None:
            for how, again in (
                ("pickled", pickle.loads(pickle.dumps(made))),  # noqa: S301 - its own
                ("written as text", type(made).from_str_params(made.to_str_params())),
            ):
                if again != made or again.local_path != path:
                    advise(
                        f"{_called(made)}, {how} and read again, is {again!r}",
                        "its parameters must be values that compare equal: int, str, float, bool",
                    )

        _for_drawn(self, product, release, survives)

    def test_a_batch_has_the_paths_of_its_members(self, product: type[DataProduct], release: str) -> None:
        """Column by column comes to the same as one by one."""
        if not any(declared.batch for declared in product.product_parameters().values()):
            return

        def same(made: DataProduct, paths: Any) -> None:
            members = [member.local_path for member in made.get_batch_tasks()]
            if members != (paths if isinstance(paths, list) else [paths]):
                advise(f"a batch of {_called(made)} has the paths {paths}, its members {members}", "see columnwise()")

        _for_drawn(self, product, release, same, size=3)

    def test_paths_agree_with_sdss_access(self, product: type[DataProduct], release: str) -> None:
        """Where the tree knows the product, sdss_access gives the same location."""
        from astra_registry.testing.agreement import sdss_access, tree_name

        name = tree_name(product, release)
        if name is None:
            return
        drawn: list[DataProduct] = []
        _for_drawn(self, product, release, lambda made, path: drawn.append(made))
        try:
            mine = [made.location for made in drawn]
        except NotOnSas:
            return
        theirs = sdss_access().locations(release, name, [made._template_values() for made in drawn])
        for made, location, answer in zip(drawn, mine, theirs, strict=True):
            if answer is not None and answer != location:
                advise(
                    f"{_called(made)} is {location} here, and {answer} by sdss_access",
                    "its template has to be the tree's; a product that lies elsewhere has another name",
                )

    # ------------------------------------------------------------ which products and releases

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run the tests for every product, and every release of it."""
        if "product" not in metafunc.fixturenames:
            return
        classes = list(_products(self.plugin))
        if "release" in metafunc.fixturenames:
            pairs = [(product, release) for product in classes for release in product.releases()]
            ids = [f"{product._label()}-{release}" for product, release in pairs]
            metafunc.parametrize(("product", "release"), pairs, ids=ids)
        else:
            metafunc.parametrize("product", classes, ids=[product._label() for product in classes])


def advise(problem: str, remedy: str) -> NoReturn:
    """Fail with what is wrong and what to do, and no traceback of ours."""
    pytest.fail(f"{problem}\n  → {remedy}", pytrace=False)


def _plugin(named: str) -> Plugin | None:
    """Return the installed plugin of that name, distribution or module."""
    for plugin in installed_plugins().plugins:
        if plugin.is_named([named]) or plugin.value.partition(":")[0] == named:
            return plugin
    return None


@cache
def _registry(named: str) -> Registry:
    if not named:
        pytest.fail('the suite needs to know the plugin: write plugin = "the_module" in the class', pytrace=False)
    with override(strict=False):
        return Registry(plugins=[_plugin(named) or named])


def _importable(named: str) -> str:
    plugin = _plugin(named)
    if plugin is not None:
        return plugin.toml or plugin.value
    return os.path.abspath(named) if named.endswith(".toml") else named


def _products(named: str) -> Iterator[type[DataProduct]]:
    registry = _registry(named)
    for name in registry.names():
        yield registry[name]


def _called(made: DataProduct) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in made._own_values().items())
    return f"{made._label()} in {made.release} ({values})"


def _identified(registry: Registry, made: DataProduct, path: str) -> None:
    try:
        again = registry.identify(path)
    except NotIdentified:
        advise(
            f"{_called(made)} is at {path}, and that path is not identified",
            "its template cannot be undone: does a value hide in a derived gap, or a text in a number's place?",
        )
    if again.local_path != path:
        advise(f"{path} is identified as {_called(again)}, which is at {again.local_path}", "correct the template")
    text = "".join(str(v) for v in made._template_values().values())
    # Another product or release may share the path; 'a-b-c' may be 'a-b' and 'c', or 'a' and 'b-c'; and what the
    # tree's own templates do not tell apart, no plugin can.
    comparable = type(again) is type(made) and again.release == made.release and made.templates is not None
    if comparable and text.isalnum() and again != made:
        advise(
            f"{path} is that of {_called(made)}, and identified as {_called(again)}",
            "its template has gaps that touch: put a sign between them",
        )


def _for_drawn(
    suite: ProductSuite,
    product: type[DataProduct],
    release: str,
    check: Callable[[DataProduct, Any], None],
    *,
    size: int | None = None,
) -> None:
    """Call `check` with products drawn from the declaration, and their paths; the same ones in every run."""
    try:
        import hypothesis
    except ImportError:
        raise MissingExtra("the conformance suite", "testing") from None
    from astra_registry.testing.generated import path, products

    problem = ""
    try:
        product.plan(release)
    except UnresolvedRoot as error:
        if product.templates is None:
            return  # the tree's own template, and its own mistake: nothing that a plugin can correct
        problem = f"{product._label()} cannot be resolved in {release}: {error}"
    except AstraRegistryError as error:
        problem = f"{product._label()} cannot be resolved in {release}: {error}"
    if problem:
        advise(problem, "correct the template of that release")

    @hypothesis.settings(
        max_examples=suite.draws,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],  # advice needs no smallest example
    )
    @hypothesis.given(products(product, release, size=size))
    def with_drawn(made: DataProduct) -> None:
        found = path(made)
        hypothesis.assume(found is not None)
        check(made, found)

    drawn_from = f"{product._label()} in {release}, with parameters drawn from its declaration"
    try:
        with override(sas_base_dir="/sas"):
            with_drawn()
    except hypothesis.errors.Unsatisfiable:
        problem = f"{drawn_from}: none of them gives a path"
    except AstraRegistryError as error:
        problem = f"{drawn_from}: {error}"
    else:
        return
    advise(problem, "declare examples, choices or a check, from which better ones can be drawn")
