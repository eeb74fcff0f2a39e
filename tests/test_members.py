"""Every member that users of the 2021 system know is on every product, and on analysis tasks where it belongs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import astra_registry
from astra_registry import DataProduct, InvalidParameter, StateStore, Task, errors, registry

# By the section of the interface that describes them.
IDENTITY = """
task_id param_kwargs astra_version_major astra_version_minor astra_version_micro astra_version_dev get_params
get_param_names get_param_values param_args _get_param_visibilities _warn_on_wrong_param_types get_hashed_params
to_str_params from_str_params clone get_common_param_names get_common_param_kwargs task_family get_task_family
task_namespace get_task_namespace _namespace_at_class_time task_module _visible_in_registry use_cmdline_section
initialized no_unpicklable_properties
""".split()
BATCHES = """
is_batch_mode batchable batch_param_names get_batch_task_kwds get_batch_tasks get_batch_size max_batch_size from_table
""".split()
STATE = """
query_state get_or_create_state create_state update_state delete_state event_handler _event_callbacks trigger_event
remove_event_handler trigger_event_start trigger_event_succeeded trigger_event_failed trigger_event_processing_time
on_failure on_success
""".split()
LIFE = """
requires _requires deps input get_input complete bulk_complete run output priority disabled resources process_resources
worker_timeout retry_count disable_hard_timeout disable_window disable_window_seconds owner_email _owner_list
accepts_messages
""".split()
PRODUCT = """
sdss_data_model_name tree local_path get_local_path remote_path location get_remote get_remote_http get_remote_rsync
output_base_dir writer get_or_create_data_model_relationships read local_paths remote_paths release public mirror
verbose use_remote remote_access_method strict_output_checking
""".split()

EXAMPLES = {
    "apVisit": {"fiber": 1, "plate": "5815", "field": "000+02", "mjd": 56396, "telescope": "apo25m"},
    "apStar": {"obj": "2M17335483-2753043", "telescope": "apo25m", "field": "000+02"},
    "spec": {"mjd": 52762, "plate": "1325", "run2d": "26", "fiberid": 133},
    "allStar": {"apred": "dr17", "aspcap": "synspec_rev1"},  # of the tree
}


def test_every_path_of_the_tree_is_a_product_with_the_whole_set_of_members() -> None:
    members = set(IDENTITY + BATCHES + STATE + LIFE + PRODUCT)

    for name in registry:
        # Parameters are attributes of instances only.
        present = {*dir(registry[name]), *registry[name]._parameters}
        assert members - present == set(), name


def test_every_error_class_is_at_the_top() -> None:
    everything = ((name, kind) for name, kind in vars(errors).items() if isinstance(kind, type))
    classes = {name: kind for name, kind in everything if issubclass(kind, errors.AstraRegistryError)}

    assert "WrongLayout" in classes
    for name, kind in classes.items():
        assert getattr(astra_registry, name) is kind
        assert name in astra_registry.__all__


@pytest.mark.filterwarnings("ignore:disable_window_seconds")
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_product_has_the_whole_set_of_members(name: str) -> None:
    product = registry.create(name, release="dr17", **EXAMPLES[name])

    assert [member for member in IDENTITY + BATCHES + STATE + LIFE + PRODUCT if not hasattr(product, member)] == []


@pytest.mark.filterwarnings("ignore:disable_window_seconds")
def test_every_analysis_task_has_those_that_do_not_speak_of_files() -> None:
    class Analysis(Task):
        pass

    assert [member for member in IDENTITY + BATCHES + STATE + LIFE if not hasattr(Analysis(), member)] == []


@pytest.mark.parametrize(
    ("name", "parameters"),
    {
        "apVisit": {
            "fiber": int, "plate": str, "field": str, "mjd": int, "apred": str, "telescope": str, "prefix": str,
        },
        "apStar": {
            "obj": str, "healpix": int, "apstar": str, "apred": str, "telescope": str, "field": str, "prefix": str,
        },
        "spec": {"catalogid": int, "mjd": int, "plate": str, "run2d": str, "fiberid": int},
    }.items(),
)  # fmt: skip
def test_the_three_products_have_the_parameters_of_2021_and_what_other_releases_need(
    name: str, parameters: dict[str, type]
) -> None:
    declared = registry[name].product_parameters().values()

    assert {p.name: p.type for p in declared} == parameters
    assert all(p.batch and p.significant and p.doc for p in declared)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_product_tells_where_it_is_without_looking_and_without_credentials(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path / "nowhere"))
    given = {"release": "dr17", **EXAMPLES[name]}
    product = registry.create(name, **given)

    assert registry[name].get_local_path(**given) == product.local_path == product.output().path
    assert product.remote_path == f"https://data.sdss.org/sas/{product.location}"
    assert "@" not in product.remote_path
    assert product.complete() is product.output().exists() is False
    assert repr(product).startswith(f"<{type(product).__name__}({product.task_id[-32:-24]}, release='dr17'")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_product_is_the_same_in_text_pickled_and_in_every_spelling(name: str) -> None:
    given = {"release": "dr17", **EXAMPLES[name]}
    product = registry.create(name, **given)
    as_text = {key: str(value).encode() for key, value in EXAMPLES[name].items()}

    for other in (
        type(product).from_str_params(product.to_str_params()), pickle.loads(pickle.dumps(product)), product.clone(),
        registry.create(name, **as_text, release="DR17", use_remote=True), type(product)(**product.param_kwargs),
    ):  # fmt: skip
        assert (other, hash(other), other.task_id) == (product, hash(product), product.task_id)


@pytest.mark.parametrize(
    ("name", "junk"),
    [("apVisit", {"telescope": "keck"}), ("apStar", {"telescope": "APO25M"}), ("spec", {"use_remote": "maybe"}),
     ("apVisit", {"verbose": 2}), ("apStar", {"strict_output_checking": "1"}), ("spec", {"mjd": True})],
)  # fmt: skip
def test_junk_is_refused_by_name(name: str, junk: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(junk))):
        registry.create(name, **{"release": "dr17", **EXAMPLES[name], **junk})


def test_every_event_reaches_its_handler_with_what_luigi_sends(tmp_path: Path) -> None:
    star = registry.create("apStar", release="dr17", **EXAMPLES["apStar"])
    error = ValueError("no light")
    sent: dict[str, tuple[Any, ...]] = {
        "event.core.start": (), "event.core.success": (), "event.core.processing_time": (1.5,),
        "event.core.failure": (error,), "event.core.process_failure": ("died",), "event.core.timeout": ("too long",),
        "event.core.task.broken": (error,), "event.core.dependency.missing": (), "event.core.dependency.present": (),
        "event.core.dependency.discovered": (star,), "event.core.progress": ({"done": 0.5},),
    }  # fmt: skip
    heard: list[tuple[Any, ...]] = []
    handlers = {event: lambda *args, event=event: heard.append((event, *args)) for event in sent}
    for event, handler in handlers.items():
        DataProduct.event_handler(event)(handler)

    with StateStore(f"sqlite:///{tmp_path / 'states.db'}") as store:
        for event, arguments in sent.items():
            star.delete_state(store=store)
            star.trigger_event(event, star, *arguments, store=store)
    for event, handler in handlers.items():
        DataProduct.remove_event_handler(event, handler)

    assert heard == [(event, star, *arguments) for event, arguments in sent.items()]


def test_common_parameters_have_their_defaults_and_are_not_significant() -> None:
    star = registry.create("apStar", release="dr17", **EXAMPLES["apStar"])

    assert (star.public, star.mirror, star.verbose) == (False, False, True)
    assert (star.use_remote, star.remote_access_method, star.strict_output_checking) == (False, "http", False)
    common = {p.name: p for p in DataProduct._parameters.values()}
    assert [name for name, p in common.items() if p.significant] == ["release"]
    assert not any(p.batch for p in common.values())
    assert registry["apStar"]._parameters["release"].default == "sdss5"


def test_lineage_is_task_then_product_then_the_survey_then_the_plugins_class() -> None:
    from astra_registry import SDSS5DataModelTask

    assert [c for c in registry["apStar"].__mro__ if c in (SDSS5DataModelTask, DataProduct, Task)] == [
        SDSS5DataModelTask, DataProduct, Task,
    ]  # fmt: skip
