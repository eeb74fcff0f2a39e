"""A mail to the owners of a task that failed: those of its `owner_email`.

`ASTRA_MAIL_SERVER` is the host and port of the mail server, `localhost:25` when it is not set.
"""

from __future__ import annotations

import os
from typing import Any

from astra_registry import hookimpl

astra_registry_api = 1

WORTH_A_MAIL = ("event.core.failure", "event.core.process_failure", "event.core.task.broken")


@hookimpl
def astra_registry_event(event: Any) -> None:
    """Write to the owners when a task failed."""
    owners = event.task._owner_list()
    if owners and event.name in WORTH_A_MAIL:
        send(owners, f"{event.task.task_family} failed", f"{event.task!r}\n{event.task_id}\n\n{event.detail}\n")


def send(owners: list[str], subject: str, text: str) -> None:
    """Send one mail to all owners."""
    import smtplib  # only a process in which something failed needs it
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "astra-registry@localhost", ", ".join(owners), subject
    mail.set_content(text)
    host, _, port = os.environ.get("ASTRA_MAIL_SERVER", "localhost:25").partition(":")
    with smtplib.SMTP(host, int(port or 25), timeout=10) as server:
        server.send_message(mail)
