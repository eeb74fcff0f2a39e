"""The examples of the documentation, and what `plugins new` writes: installed with pip, and used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from astra_registry.testing.sas import EmbeddedSas

from .environments import TOP, Environment

EXAMPLES = TOP / "docs/examples"
STAR = {"telescope": "apo25m", "field": "K04_083+13", "obj": "2M19485057+5005279"}
OPTIONS = [word for name, value in STAR.items() for word in (f"--{name}", value)]


def installed(environment: Environment, *folders: Path) -> Environment:
    """The environment, with distributions built from their folders by pip; nothing is left in the folders."""
    copies = [shutil.copytree(folder, environment.folder / "sources" / folder.name) for folder in folders]
    done = environment.run("-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation", *copies)
    assert done.returncode == 0, done.stderr
    return environment


@pytest.mark.parametrize("example", sorted(path.parent.name for path in EXAMPLES.glob("*/pyproject.toml")))
def test_every_example_is_a_healthy_plugin(example: str, environment: Environment) -> None:
    installed(environment, EXAMPLES / example)

    checked = environment.registry("--strict", "plugins", "check")

    assert checked.returncode == 0, checked.stdout
    assert checked.stderr.startswith("1 plugin with")


def test_a_file_of_products_is_a_plugin_without_python(environment: Environment) -> None:
    """Listed, shown, resolved and identified like any other; nothing of the package is imported."""
    installed(environment, EXAMPLES / "toml-plugin")

    resolved = environment.registry("resolve", "starList", "--release", "dr19", "--mjd", "59146", "--location")
    assert resolved.stdout == "dr19/spectro/astra/0.6.0/lists/starList-0.6.0-59146.fits\n", resolved.stderr
    identified = environment.registry("identify", resolved.stdout.strip(), "--json")
    assert json.loads(identified.stdout)[0]["product"] == "starList"
    assert environment.plugins()["example-star-lists"]["products"] == ["starList"]
    suite = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--astra-plugin", "star_lists")
    assert suite.returncode == 0, suite.stdout
    assert " passed" in suite.stdout


def test_a_transport_and_a_command_come_with_a_plugin(environment: Environment, tmp_path: Path) -> None:
    """Real files by curl from a server on loopback, verified and put in their place by the fetcher."""
    installed(environment, TOP / "plugins/apstar", EXAMPLES / "transport-plugin")
    table = tmp_path / "stars.csv"
    table.write_text(f"{','.join(STAR)}\n{','.join(STAR.values())}\n")
    with EmbeddedSas(TOP / "tests/data/sas") as sas:
        places = {"SAS_BASE_DIR": str(tmp_path / "sas"), "ASTRA_REGISTRY_REMOTE_BASE": sas.url}
        fetch = ("fetch", "apStar", "--release", "dr17", "--transport", "curl", "--json")
        fetched = environment.registry(*fetch, *OPTIONS, **places)
        missing = environment.registry(*fetch, *OPTIONS[:-1], "2M00000000+0000000", **places)
        listed = environment.registry("curl-list", "apStar", "--release", "dr17", "--from", table, **places)

    line = json.loads(fetched.stdout)
    assert (fetched.returncode, line["status"]) == (0, "fetched"), fetched.stdout + fetched.stderr
    assert Path(line["path"]).stat().st_size == line["bytes"] > 0
    assert (missing.returncode, json.loads(missing.stdout)["status"]) == (1, "missing"), missing.stdout
    assert listed.stdout.startswith('url = "http://127.0.0.1'), listed.stderr
    assert line["path"] in listed.stdout


def test_a_transport_that_nobody_brings_names_those_that_are_there(environment: Environment) -> None:
    installed(environment, TOP / "plugins/apstar", EXAMPLES / "transport-plugin")

    done = environment.registry("fetch", "apStar", "--release", "dr17", *OPTIONS, "--transport", "crul")

    assert done.returncode == 2
    assert "there is no transport 'crul'; did you mean 'curl'" in done.stderr


class MailServer(Controller):
    """A mail server on a free port of loopback."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # it was 0: any that is free
        super()._trigger_server()


class Mailbox:
    """A mail server's memory."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(envelope)
        return "250 OK"


def test_a_failed_task_is_a_mail_to_its_owners(environment: Environment) -> None:
    """Through a real mail server; a task that succeeds, or has no owner, is none."""
    installed(environment, TOP / "plugins/apstar", EXAMPLES / "mail-plugin")
    mailbox = Mailbox()
    server = MailServer(mailbox, hostname="127.0.0.1", port=0)
    server.start()
    script = f"""
from astra_registry import registry
class Mine(registry["apStar"]):
    sdss_data_model_name = "apStar"
    owner_email = "one@sdss.example, two@sdss.example"
star = Mine(release="dr17", **{STAR!r})
star.trigger_event_start()
star.trigger_event_failed(OSError("no space left on device"))
quiet = registry.create("apStar", release="dr17", **{STAR!r})
quiet.trigger_event_start()
quiet.trigger_event_failed(OSError("nobody is told"))
"""
    try:
        done = environment.run("-W", "error", "-c", script, ASTRA_MAIL_SERVER=f"127.0.0.1:{server.port}")
    finally:
        server.stop()

    assert done.returncode == 0, done.stderr
    (mail,) = mailbox.mails
    assert mail.rcpt_tos == ["one@sdss.example", "two@sdss.example"]
    assert b"no space left on device" in mail.original_content


def test_a_mail_server_that_is_down_harms_no_task(environment: Environment) -> None:
    installed(environment, TOP / "plugins/apstar", EXAMPLES / "mail-plugin")
    script = f"""
from astra_registry import registry, Status
class Mine(registry["apStar"]):
    sdss_data_model_name = "apStar"
    owner_email = "one@sdss.example"
star = Mine(release="dr17", **{STAR!r})
star.trigger_event_failed(OSError("no space left on device"))
print(star.query_state().one().status_code)
"""
    done = environment.run("-c", script, ASTRA_MAIL_SERVER="127.0.0.1:1")

    assert done.returncode == 0, done.stderr
    assert done.stdout == "30\n"
    assert "plugin 'mail' of example-mail 1.0.0 is broken: astra_registry_event raised" in done.stderr


def test_a_sites_settings_hold_until_somebody_says_otherwise(environment: Environment) -> None:
    installed(environment, EXAMPLES / "site-plugin", TOP / "plugins/apstar")

    def settings(**environ: str) -> dict[str, tuple[object, str]]:
        told = json.loads(environment.registry("config", "--json", **environ).stdout)
        return {setting["name"]: (setting["value"], setting["origin"]) for setting in told}

    ours = "plugin 'observatory' of example-observatory 1.0.0"
    assert settings()["jobs"] == (4, ours)
    assert settings(ASTRA_REGISTRY_JOBS="9")["jobs"][0] == 9
    assert settings(ASTRA_REGISTRY_PLUGINS="apstar")["jobs"][0] == 16
    resolved = environment.registry("resolve", "apStar", "--release", "dr17", *OPTIONS)
    assert resolved.stdout.startswith("/observatory/sas/dr17/"), resolved.stderr


def test_a_reader_reads_products_of_other_plugins(environment: Environment) -> None:
    installed(environment, TOP / "plugins/apstar", EXAMPLES / "reader-plugin")
    script = f"""
from astra_registry import registry
star = registry.create("apStar", release="dr17", **{STAR!r})
print(star.read("header")["OBJID"])
"""
    done = environment.run("-c", script, SAS_BASE_DIR=str(TOP / "tests/data/sas"))

    assert done.stdout.strip() == STAR["obj"], done.stderr


# ---------------------------------------------------------------- plugins new


def test_a_new_plugin_installs_lists_resolves_and_passes_its_tests_at_once(environment: Environment) -> None:
    """From options, for a path that the tree does not know."""
    made = environment.registry(
        "plugins", "new", "starMap",
        "--summary", "A map of stars",
        "--release", "dr19", "--template", "$MWM_ASTRA/{v_astra}/maps/{run}/starMap-{v_astra}-{sdss_id:0>9}.fits",
        "--release", "dr20", "--template", "$MWM_ASTRA/{v_astra}/maps/starMap-{v_astra}-{sdss_id:0>9}.fits",
        "--parameter", "sdss_id:int:The SDSS-V identifier of the star.",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    folder = Path(made.stdout.strip())
    folder = folder if folder.is_absolute() else environment.folder / "home" / folder
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "pyproject.toml", "astra_registry_starmap.py", "tests/test_starmap.py", "README.md", ".gitignore",
        ".github/workflows/test.yml",
    }  # fmt: skip

    got = environment.registry("plugins", "install", folder, "--", "--no-index", "--no-build-isolation", "--quiet")
    assert got.stdout == "astra-registry-starmap 0.1.0 brings starMap\n", got.stderr
    (listed,) = json.loads(environment.registry("list", "--json").stdout)
    assert (listed["name"], listed["summary"]) == ("starMap", "A map of stars.")
    resolved = environment.registry(
        "resolve", "starMap", "--release", "dr19", "--sdss_id", "7", "--v-astra", "0.6.0", "--run_", "x", "--location"
    )
    assert resolved.stdout == "dr19/spectro/astra/0.6.0/maps/x/starMap-0.6.0-000000007.fits\n", resolved.stderr
    tested = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, folder)
    assert tested.returncode == 0, tested.stdout
    assert environment.registry("--strict", "plugins", "check").returncode == 0


def test_a_new_plugin_needs_no_template_when_the_tree_knows_the_name(environment: Environment) -> None:
    """Its suite agrees with sdss_access in every release."""
    folder = environment.folder / "home/astra-registry-mwmstar"
    assert environment.registry("plugins", "new", "mwmStar").stdout.strip().endswith("astra-registry-mwmstar")

    again = environment.registry("plugins", "new", "mwmStar")
    installed(environment, folder)
    tested = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, folder)

    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert tested.returncode == 0, tested.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("noSuchPath",), "no release of the tree has a path 'noSuchPath'"),
        (("a/b",), "cannot be a product's name"),
        (("x", "--template", "$MWM_ASTRA/x"), "--template needs a --release"),
        (("x", "--release", "dr99", "--template", "$MWM_ASTRA/x"), "no release 'dr99'"),
        (("x", "--release", "dr19", "--template", "$NOWHERE/x"), "defines no root $NOWHERE"),
        (("x", "--release", "dr19", "--template", "$MWM_ASTRA/{x"), "a brace stands alone"),
        (("x", "--release", "dr19", "--template", "$MWM_ASTRA/x", "--parameter", "y"), "no template of x names y"),
        (("mwmStar", "--parameter", "sdss_id:number"), "'number' is no type; there are int, str, float, bool"),
    ],
)
def test_a_new_plugin_that_would_not_work_is_not_written(
    arguments: tuple[str, ...], why: str, environment: Environment
) -> None:
    done = environment.registry("plugins", "new", *arguments)

    assert done.returncode == 2
    assert why in done.stderr
    assert list((environment.folder / "home").iterdir()) == []
