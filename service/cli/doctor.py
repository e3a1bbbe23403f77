"""`doctor`: looks at everything the service needs, and says what to do, ready to paste."""

from __future__ import annotations

from dataclasses import asdict

import typer

from service.cli.common import Json, out, print_json, quiet_settings, run_async, show_table
from service.http import access
from service.operations import doctor as operations
from service.operations.findings import Verdict


def doctor(as_json: Json = False) -> None:
    """Check settings, store, broker, catalog and targets; exit 1 if the service could not work as set up.

    Changes nothing: what is missing is only named.
    """
    findings = run_async(operations.findings(quiet_settings(), access.findings))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = [(f.verdict, f.check, f.detail) for f in findings]
        show_table("Doctor", ("verdict", "check", "found"), rows, "")
        for finding in findings:
            if finding.remedy:
                out.print(f"{finding.check}: {finding.remedy}", markup=False, soft_wrap=True)
    if any(finding.verdict is Verdict.FAILED for finding in findings):
        raise typer.Exit(1)
