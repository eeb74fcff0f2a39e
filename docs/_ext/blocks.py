"""The code blocks of a page, and a place to run them for real, from top to bottom, as a reader would.

A `console` block holds commands (`$ …`, continued with `> …`) and what they print; a `python` block may be followed by
an `output` block. `…` stands for any text. Two comments before a block change what happens to it: `<!-- file: PATH -->`
writes it into that file, `<!-- not run: REASON -->` leaves it alone. Output that is shown must be what comes out.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from package_index import PackageIndex

_FENCE = re.compile(
    r"(?:<!-- (?P<order>file|not run): (?P<detail>.*?) -->\n+)?"
    r"^(?P<fence>```+)(?P<language>\{[\w-]+\}|[\w-]*)[^\n]*\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)

# Runs Python blocks one after the other in one namespace: a JSON string in, what it printed (as a JSON string) out.
_INTERPRETER = """
import contextlib, io, json, sys, traceback
namespace = {"__name__": "__main__"}
answers, sys.stdout = sys.stdout, io.StringIO()
for line in sys.stdin:
    printed, failed = io.StringIO(), False
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            exec(compile(json.loads(line), "<block>", "exec"), namespace)
        except BaseException:
            failed = True
            traceback.print_exc()
    print(json.dumps([failed, printed.getvalue()]), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    text: str
    line: int
    file: str | None
    skipped: str | None


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page in order; directives, which are no code, are left out."""
    text = page.read_text()
    for found in _FENCE.finditer(text):
        if found["language"].startswith("{"):
            continue
        order, detail = found["order"], found["detail"]
        line = text.count("\n", 0, found.start("fence")) + 1
        yield Block(
            found["language"],
            found["text"],
            line,
            detail if order == "file" else None,
            detail if order == "not run" else None,
        )


def agrees(expected: str, printed: str) -> bool:
    """Whether the text is what was printed, `…` standing for anything, blanks at line ends aside."""

    def tidy(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.strip().splitlines())

    pattern = ".*?".join(re.escape(part) for part in tidy(expected).split("…"))
    return re.fullmatch(pattern, tidy(printed), re.DOTALL) is not None


class Session:
    """A folder, an environment of its own that can see the packages of this one, and a Python that remembers."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._python = _own_environment(folder / ".venv")
        self.environment = environment | {"PATH": f"{self._python.parent}{os.pathsep}{os.environ['PATH']}"}
        self._interpreter: subprocess.Popen[str] | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._interpreter is not None:
            self._interpreter.communicate()

    def console(self, command: str) -> tuple[int, str]:
        """Return the exit code of a shell command and what it printed."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def python(self, code: str) -> tuple[bool, str]:
        """Return whether the block failed, and what it printed; names live on from block to block."""
        if self._interpreter is None:
            self._interpreter = subprocess.Popen(
                [str(self._python), "-c", _INTERPRETER],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._interpreter.stdin is not None
        assert self._interpreter.stdout is not None
        self._interpreter.stdin.write(json.dumps(code) + "\n")
        self._interpreter.stdin.flush()
        failed, printed = json.loads(self._interpreter.stdout.readline())
        return failed, printed

    def write(self, file: str, text: str) -> None:
        """Write a block into a file of the session's folder."""
        place = self.folder / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def _own_environment(folder: Path) -> Path:
    """Make a virtual environment that sees this one's packages but installs into itself; return its Python."""
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    here = sysconfig.get_path("purelib")
    # addsitedir reads the .pth files there too: the editable installs of this project.
    (own / "seen.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    for name in ("astra-registry", "pip", "pytest", "twine"):
        script = folder / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{python}" -m {name.replace("-", "_")} "$@"\n')
        script.chmod(0o755)
    return python


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of a console block, each with the output that is shown below it."""
    at: str | None = None
    shown: list[str] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            if at is not None:
                yield at, "\n".join(shown)
            at, shown = line[2:], []
        elif line.startswith("> ") and not shown and at is not None:
            at += "\n" + line[2:]
        else:
            shown.append(line)
    if at is not None:
        yield at, "\n".join(shown)


def run(page: Path, session: Session) -> Iterator[tuple[Block, str, str, str]]:
    """Run a page; yield every (block, what was run, what is shown, what came) that does not agree or failed."""
    before: tuple[Block, str] | None = None
    for block in blocks(page):
        if block.skipped is not None:
            before = None
            continue
        if block.file is not None:
            session.write(block.file, block.text)
        elif block.language == "console":
            for command, shown in commands(block.text):
                code, printed = session.console(command)
                if code or (shown and not agrees(shown, printed)):
                    yield block, command, shown, f"{printed}(exit code {code})" if code else printed
        elif block.language == "python":
            failed, printed = session.python(block.text)
            if failed:
                yield block, block.text, "", printed
            before = (block, printed)
            continue
        elif block.language == "output" and before is not None and not agrees(block.text, before[1]):
            yield block, before[0].text, block.text, before[1]
        before = None


def _main() -> None:
    """Run pages against the embedded SAS and print what does not agree: `python docs/_ext/blocks.py PAGE…`."""
    for name in sys.argv[1:]:
        page = Path(name)
        with tempfile.TemporaryDirectory() as folder, prepared(Path(folder) / "home") as session:
            for block, ran, shown, came in run(page, session):
                print(f"{page}:{block.line}\n$ {ran}\n--- shown\n{shown}\n--- came\n{came}\n")


@contextlib.contextmanager
def prepared(home: Path) -> Iterator[Session]:
    """A new user's folder, on a machine where a small archive and a package index are the servers."""
    from astra_registry.testing.sas import EmbeddedSas

    top = Path(__file__).parents[2]
    home.mkdir()
    with (
        EmbeddedSas(top / "tests/data/sas", sha1sums=True) as sas,
        PackageIndex(home.parent / "index") as index,
        Session(home, clean_environment(home, sas.url) | index.environment) as session,
    ):
        prepare(home, top)
        yield session


def clean_environment(home: Path, url: str) -> dict[str, str]:
    """The environment of a new user on a machine where the server is at *url*."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "COLUMNS": "86",
        "NO_COLOR": "1",
        "SAS_BASE_DIR": str(home / "sas"),
        "ASTRA_REGISTRY_REMOTE_BASE": url,
        "ASTRA_REGISTRY_DATABASE": f"sqlite:///{home}/states.sqlite",
        "ASTRA_REGISTRY_CONFIG": str(home / "config.toml"),
        # The list of fonts is made once for all pages, not once for each new home: it takes ten seconds.
        "MPLCONFIGDIR": os.path.join(tempfile.gettempdir(), "astra-registry-fonts"),
        # On a busy machine dask warns that a worker takes its time to end, which no page shows.
        "DASK_LOGGING__DISTRIBUTED": "error",
        # Nothing comes from an index: what a page installs, it has built, with the tools that are here.
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }


def prepare(folder: Path, top: Path) -> None:
    """Put what the pages use into the folder: the tables, where a copy of the project has them, and by a short name."""
    (folder / "tests/data").mkdir(parents=True)
    for name in ("tests/data/tables", "tables"):
        (folder / name).symlink_to(top / "tests/data/tables")


if __name__ == "__main__":
    _main()
