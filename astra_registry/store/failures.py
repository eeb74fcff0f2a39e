"""What a database's complaint means: which are worth another try, and what to tell a person."""

from __future__ import annotations

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from astra_registry.errors import StoreError
from astra_registry.settings.passwords import without_passwords

# Of PostgreSQL: the codes of a server that stops, starts, or asks one of two to step back (see its appendix A).
_SERVER_RESTARTS = {"57P01", "57P02", "57P03", "57P05", "08000", "08001", "08003", "08004", "08006"}
_STEP_BACK = {"40001", "40P01", "55P03", "53300"}

_TEXTS = {
    # what SQLite or PostgreSQL says: what we say
    "database is locked": "is locked by another program",
    "database table is locked": "is locked by another program",
    "readonly database": "is read-only",
    "database or disk is full": "is full, or the disk is",
    "disk i/o error": "met an I/O error of the disk",
    "unable to open database file": "cannot be opened; do its folder and the permission to write there exist?",
    "file is not a database": "is not an SQLite database",
    "disk image is malformed": "is damaged",
}
_CODES = {
    "53100": "is full: the server's disk has no room",
    "25006": "is read-only",
    "28P01": "refuses the password",
    "28000": "refuses this user",
    "42501": "refuses this user the permission it needs",
    "3D000": "does not exist on the server",
}


def _code(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""


def is_transient(error: DBAPIError) -> bool:
    """Return whether the same transaction may well succeed when it is tried again."""
    if error.connection_invalidated or _code(error.orig) in _SERVER_RESTARTS | _STEP_BACK:
        return True
    # Without a code: the connection was refused or cut. SQLite has codes of its own, and has waited already.
    no_code = _code(error.orig) == "" and not hasattr(error.orig, "sqlite_errorcode")
    return no_code and isinstance(error, OperationalError | InterfaceError)


def explain(error: DBAPIError, url: URL) -> StoreError:
    """Return the error for a person: which database, and what is the matter with it, in one line."""
    said = without_passwords(" ".join(str(error.orig).split()))
    if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_READONLY_DIRECTORY":
        return StoreError(
            f"the database {name_of(url)} lies in a folder where this user may not write; to read it while nobody "
            f"writes, use sqlite:///file:{url.database}?immutable=1&uri=true"
        )
    for text, meaning in _TEXTS.items():
        if text in said.lower():
            return StoreError(f"the database {name_of(url)} {meaning}")
    meaning = _CODES.get(_code(error.orig), "")
    if meaning:
        return StoreError(f"the database {name_of(url)} {meaning}")
    if is_transient(error):
        return StoreError(f"the database {name_of(url)} cannot be reached: {said[:300]}")
    return StoreError(f"the database {name_of(url)} answered with {type(error.orig).__name__}: {said[:300]}")


def name_of(url: URL) -> str:
    """Return the URL without its password, in quotes."""
    return f"'{shown(url)}'"


def shown(url: URL) -> str:
    """Return the URL with its password hidden."""
    return without_passwords(url.difference_update_query(_secrets(url)).render_as_string(hide_password=True))


def without_secrets(url: URL) -> str:
    """Return the URL of the same database for those who know the password otherwise."""
    return url._replace(password=None).difference_update_query(_secrets(url)).render_as_string()


def _secrets(url: URL) -> list[str]:
    """Return the options of the server's driver that hold what nobody shall see: ``sslpassword``, say."""
    return [name for name in url.query if "pass" in name.casefold() or "secret" in name.casefold()]
