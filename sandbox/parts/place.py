"""Where a private part keeps its files, and as whom it runs."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path


def own_directory(name: str, user: str | None = None) -> Path:
    """A new directory of one part; short, since the paths of Unix sockets may have only about 100 bytes."""
    directory = Path(tempfile.mkdtemp(prefix=f"cm-{name}-"))
    if user is not None:
        shutil.chown(directory, user, pwd.getpwnam(user).pw_gid)
    return directory


def unprivileged_user(*preferred: str) -> str | None:
    """Whom to run as where a server refuses root; None means as ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in (*preferred, "nobody") if name in known)


def find_program(name: str, directories: Iterable[str]) -> Path | None:
    """The program in the first of `directories` (patterns, the highest name wins) that has it, else on the PATH.

    The directories of servers come first, since what lies on the PATH may be a wrapper that changes user.
    """
    for pattern in directories:
        found = sorted(Path("/").glob(f"{pattern.lstrip('/')}/{name}"), reverse=True)
        if found:
            return found[0]
    on_path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin")
    return Path(on_path) if on_path else None
