"""Settings: which value is in force, where it comes from, and what a wrong one is told."""

from __future__ import annotations

import contextvars
import os
import subprocess
import sys
import threading
import timeit
from pathlib import Path

import pytest

from astra_registry.errors import BadSetting
from astra_registry.settings import SETTINGS, config_file, explain, origin, override, setting


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration file of the test's own, not there yet and looked at each time, and no variable set."""
    monkeypatch.setattr("astra_registry.settings._CHECK_EVERY", 0.0)
    for entry in SETTINGS.values():
        monkeypatch.delenv(entry.env, raising=False)
    file = tmp_path / "config.toml"
    monkeypatch.setenv("ASTRA_REGISTRY_CONFIG", str(file))
    monkeypatch.setenv("HOME", str(tmp_path))
    return file


def test_without_anything_the_default_is_in_force(tmp_path: Path) -> None:
    assert setting("jobs") == 16
    assert setting("sas_base_dir") == f"{tmp_path}/sas"
    assert setting("plugins") is None
    assert origin("jobs") == "default"


def test_the_order_is_override_environment_file_default(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("jobs = 2\ntimeout = 7\n")
    assert (setting("jobs"), origin("jobs")) == (2, str(config))

    monkeypatch.setenv("ASTRA_REGISTRY_JOBS", "3")
    assert (setting("jobs"), origin("jobs")) == (3, "environment variable ASTRA_REGISTRY_JOBS")

    with override("the command line", jobs=4):
        assert (setting("jobs"), origin("jobs")) == (4, "the command line")
    assert setting("jobs") == 3
    assert setting("timeout") == 7.0


def test_a_changed_variable_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("/one", "/two", "/one/"):
        monkeypatch.setenv("SAS_BASE_DIR", folder)
        assert setting("sas_base_dir") == folder.rstrip("/")


def test_a_variable_that_is_set_but_empty_counts_as_unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAS_BASE_DIR", "")
    assert setting("sas_base_dir") == f"{tmp_path}/sas"


def test_an_empty_list_of_plugins_means_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTRA_REGISTRY_PLUGINS", "")
    assert setting("plugins") == ()
    assert origin("plugins") == "environment variable ASTRA_REGISTRY_PLUGINS"

    monkeypatch.setenv("ASTRA_REGISTRY_PLUGINS", "apvisit, spec")
    assert setting("plugins") == ("apvisit", "spec")


def test_an_edit_of_the_file_is_seen(config: Path) -> None:
    config.write_text("jobs = 2\n")
    assert setting("jobs") == 2
    config.write_text("jobs = 33\n")
    assert setting("jobs") == 33
    config.unlink()
    assert setting("jobs") == 16


def test_relative_paths_start_at_the_file_or_at_the_current_folder(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text('sas_base_dir = "archive"\nca_bundle = "~/ca.pem"\n')
    assert setting("sas_base_dir") == f"{tmp_path}/archive"
    assert setting("ca_bundle") == f"{tmp_path}/ca.pem"

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("SAS_BASE_DIR", "here")
    assert setting("sas_base_dir") == f"{tmp_path}/elsewhere/here"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("strict", "yes", True),
        ("remote_base", "http://me:s3@cret@127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("strict", "0", False),
        ("retries", "0", 0),
        ("timeout", "2.5", 2.5),
        ("limit_rate", "2.5M", 2_500_000),
        ("limit_rate", "500 kB/s", 500_000),
        ("limit_rate", "1000", 1000),
        ("remote_base", "http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("remote_base", "http://[::1]:8000/mirror/", "http://[::1]:8000/mirror"),
        ("remote_base", "file:///mnt/mirror/", "file:///mnt/mirror"),
        ("mirrors", "https://a.example, https://b.example/", ("https://a.example", "https://b.example")),
        ("prefer", "spec=mine, apStar=theirs", {"spec": "mine", "apStar": "theirs"}),
        ("checksums", "always", "always"),
    ],
)
def test_text_from_the_environment_becomes_a_value(
    name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTINGS[name].env, text)
    assert setting(name) == value


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("jobs", "many", "a whole number of at least 1"),
        ("jobs", "0", "a whole number of at least 1"),
        ("jobs", "1_0", "a whole number of at least 1"),
        ("retries", "-1", "a whole number of at least 0"),
        ("timeout", "nan", "a number of seconds above 0"),
        ("timeout", "1e300", "at most 1,000,000,000 seconds"),
        ("timeout", "soon", "a number of seconds above 0"),
        ("strict", "maybe", "true or false"),
        ("limit_rate", "fast", "bytes a second"),
        ("remote_base", "localhost:8000", "a URL such as"),
        ("remote_base", "https://", "a URL such as"),
        ("remote_base", "https:///sas", "a URL such as"),
        ("remote_base", "https://data.example.org/?page=1", "a URL such as"),
        ("remote_base", "https://data.example.org#top", "a URL such as"),
        ("remote_base", "https://data.example.org:port", "a URL such as"),
        ("remote_base", "https://data.example.org /x", "a URL such as"),
        ("prefer", "spec", "pairs such as"),
        ("checksums", "sometimes", "one of auto, always, never"),
    ],
)
def test_a_wrong_value_is_told_its_origin_and_what_would_work(
    name: str, text: str, wanted: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTINGS[name].env, text)
    with pytest.raises(BadSetting, match=wanted) as error:
        setting(name)
    assert SETTINGS[name].env in str(error.value)
    assert repr(text) in str(error.value)
    assert "\n" not in str(error.value)

    monkeypatch.delenv(SETTINGS[name].env)
    config.write_text(f"{name} = '{text}'\n")
    with pytest.raises(BadSetting, match=wanted) as error:
        setting(name)
    assert str(config) in str(error.value)


def test_toml_values_of_every_kind_are_understood(config: Path) -> None:
    config.write_text(
        'plugins = ["spec"]\nstrict = true\nlimit_rate = 1000\nmirrors = ["https://a.example"]\ntimeout = 3\n'
        '[prefer]\nspec = "mine"\n'
    )
    assert setting("plugins") == ("spec",)
    assert setting("strict") is True
    assert setting("limit_rate") == 1000
    assert setting("mirrors") == ("https://a.example",)
    assert setting("timeout") == 3.0
    assert setting("prefer") == {"spec": "mine"}


@pytest.mark.parametrize("toml", ["jobs = true", "jobs = 2.5", "sas_base_dir = 3", "plugins = [1]", "prefer = {a = 1}"])
def test_toml_values_of_the_wrong_kind_are_refused(toml: str, config: Path) -> None:
    config.write_text(toml)
    with pytest.raises(BadSetting, match="must be"):
        setting(toml.split()[0])


def test_an_unknown_name_in_the_file_is_named_with_a_hint(config: Path) -> None:
    config.write_text("job = 3\n")
    with pytest.raises(BadSetting, match="unknown setting 'job'; did you mean 'jobs'"):
        setting("timeout")


def test_a_file_that_is_no_toml_is_named(config: Path) -> None:
    config.write_text("jobs is 3\n")
    with pytest.raises(BadSetting, match=str(config)):
        setting("jobs")


def test_an_unknown_setting_is_an_error_with_a_hint() -> None:
    with pytest.raises(BadSetting, match="did you mean 'jobs'"):
        setting("job")
    with pytest.raises(BadSetting, match="did you mean 'jobs'"), override(job=1):
        pass


def test_overrides_nest_and_end_with_their_block_even_after_an_exception() -> None:
    with override(jobs=1, timeout=5), override(jobs=2, timeout=None):
        assert (setting("jobs"), setting("timeout")) == (2, 5.0)
    with pytest.raises(RuntimeError), override(jobs=3):
        raise RuntimeError
    assert setting("jobs") == 16


def test_an_override_is_checked_like_any_other_value() -> None:
    with pytest.raises(BadSetting, match="--jobs: jobs is 'x'"), override("--jobs", jobs="x"):
        pass


def test_an_override_stays_in_its_own_thread() -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(setting("jobs"))

    with override(jobs=3):
        for thread in (
            threading.Thread(target=look),
            threading.Thread(target=contextvars.copy_context().run, args=(look,)),
        ):
            thread.start()
            thread.join()
    assert seen == [16, 3]


def test_explain_tells_the_origin_of_every_setting(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("jobs = 2\n")
    monkeypatch.setenv("SAS_BASE_DIR", "/data/sas")
    told = {name: (value, where) for name, value, where in explain()}
    assert list(told) == list(SETTINGS)
    assert told["jobs"] == (2, str(config))
    assert told["sas_base_dir"] == ("/data/sas", "environment variable SAS_BASE_DIR")
    assert told["timeout"] == (30.0, "default")


def test_the_file_and_the_database_are_in_the_users_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASTRA_REGISTRY_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "etc"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    if sys.platform == "linux":
        assert config_file() == str(tmp_path / "etc/astra-registry/config.toml")
        assert setting("database") == f"sqlite:///{tmp_path}/share/astra-registry/states.sqlite"
    assert not (tmp_path / "etc").exists()
    assert not (tmp_path / "share").exists()


def test_a_setting_in_a_loop_costs_about_a_microsecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten are allowed here: the machine may be busy; what it must not be is a look at the disk."""
    monkeypatch.setattr("astra_registry.settings._CHECK_EVERY", 1.0)
    monkeypatch.setenv("SAS_BASE_DIR", "/data/sas")
    best = min(timeit.repeat(lambda: setting("sas_base_dir"), number=10_000, repeat=5)) / 10_000
    assert best < 10e-6


def test_every_setting_has_a_sentence_and_a_variable_of_its_own() -> None:
    assert all(entry.doc.endswith(".") for entry in SETTINGS.values())
    assert len({entry.env for entry in SETTINGS.values()}) == len(SETTINGS)


def test_importing_settings_reads_nothing_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, astra_registry.settings; print({'platformdirs', 'tomllib', 'numpy', 'astropy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "set()"


def test_every_setting_is_read_somewhere() -> None:
    """A setting without effect would be a lie."""
    import astra_registry

    package = Path(astra_registry.__file__).parent
    rest = "".join(file.read_text() for file in package.rglob("*.py") if file.name != "settings.py")
    assert [name for name in SETTINGS if f'"{name}"' not in rest and f".{name}" not in rest] == []


def test_a_sites_defaults_hold_for_threads_that_ask_while_its_plugin_is_asked(tmp_path: Path) -> None:
    """And for a plugin that wants to know a setting itself."""
    metadata = tmp_path / "a_site-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: a-site\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[astra_registry.settings]\nsite = a_site\n")
    (tmp_path / "a_site.py").write_text(
        "import time\n"
        "from astra_registry.settings import setting\n"
        "def astra_registry_settings():\n"
        "    time.sleep(0.2)\n"
        "    return {'jobs': setting('jobs') // 4, 'sas_base_dir': '/observatory/sas'}\n"
    )
    code = """
from concurrent.futures import ThreadPoolExecutor
from astra_registry.settings import setting
with ThreadPoolExecutor(8) as threads:
    asked = [threads.submit(lambda: (setting("jobs"), setting("sas_base_dir"))) for _ in range(8)]
print({answer.result() for answer in asked}, setting("jobs"))
"""
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)

    assert done.stdout == "{(4, '/observatory/sas')} 4\n", done.stderr


HOMELESS = """
import os, pwd, sys
for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "ASTRA_REGISTRY_CONFIG"):
    os.environ.pop(name, None)
def nobody(uid):
    raise KeyError(uid)
pwd.getpwuid = nobody  # as for the user of a container whose number has no name
from astra_registry.cli import main
main(sys.argv[1:])
"""


def test_without_a_home_folder_it_says_what_to_set_and_works_when_that_is_set(tmp_path: Path) -> None:
    resolve = ["resolve", "apVisit", "--release", "dr13", "--telescope", "apo25m", "--plate", "1", "--mjd", "2"]
    environment = {name: value for name, value in os.environ.items() if name != "SAS_BASE_DIR"}

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", HOMELESS, *words], capture_output=True, text=True, check=False, cwd=tmp_path,
            env={**environment, **variables},
        )  # fmt: skip

    told = run(*resolve, "--fiber", "3")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == (
        "astra-registry: sas_base_dir has no default, as there is no home folder: set SAS_BASE_DIR, or HOME\n"
    )
    assert run(*resolve, "--fiber", "3", SAS_BASE_DIR="/data").stdout.startswith("/data/dr13/")
    assert "there is no such home folder" in run(*resolve, "--fiber", "3", SAS_BASE_DIR="~/sas").stderr
    assert "set ASTRA_REGISTRY_DATABASE" in run("state", "list", SAS_BASE_DIR="/data").stderr
    variables = {"SAS_BASE_DIR": "/data", "ASTRA_REGISTRY_DATABASE": f"sqlite:///{tmp_path}/states.sqlite"}
    assert run("state", "list", **variables).returncode == 0
    configured = run("config", **variables)
    assert configured.returncode == 0
    assert (
        "There is no file: there is no home folder for the user's config: set ASTRA_REGISTRY_CONFIG"
        in configured.stderr
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["https://me:s3cret@host/?page=1", "https://me:s3cret@host:port/"])
@pytest.mark.parametrize("name", ["remote_base", "mirrors"])
def test_a_password_in_a_setting_that_cannot_be_used_is_not_shown(name: str, value: str) -> None:
    with pytest.raises(BadSetting) as refused, override("a test", **{name: value}):
        setting(name)

    assert "s3cret" not in str(refused.value)
    assert "host" in str(refused.value)
