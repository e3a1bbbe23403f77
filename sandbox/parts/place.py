"""Where a private part keeps its files, as whom it runs, and in which system's root its programs lie.

`CATALOG_MIRROR_TEST_ROOT` names a folder that holds another system, made by `sandbox/root.sh`: broker, database and
pooler then are that system's, so that the tests run against other versions than this machine has. It takes root.
"""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sandbox.parts.errors import RootUnusable

ROOT_VARIABLE = "CATALOG_MIRROR_TEST_ROOT"

# Mounts are of this process and its children alone; `exec` keeps the process id, which signals are sent to.
_ENTER = """
mount --rbind /tmp "$1/tmp"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
shift
exec chroot "$@"
"""


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


def system_root() -> Path | None:
    """The other system whose programs are to be run, by its folder; None: this machine's own.

    Raises:
        RootUnusable: there is no whole system in the folder, or we are not root.
    """
    named = os.environ.get(ROOT_VARIABLE)
    if not named:
        return None
    if os.geteuid() != 0:
        raise RootUnusable(f"Only root can use the system that {ROOT_VARIABLE} names. Run this as root, or unset it.")
    root = Path(named).absolute()
    if not (root / ".complete").exists():
        raise RootUnusable(f"{root} holds no whole system. Make one: sh sandbox/root.sh sid {named}")
    return root


def inside(root: Path | None, program: Path, user: str | None = None) -> list[str]:
    """The command by which a program runs as `user`, in another system where `root` names one.

    It sees this machine's files under `/tmp` and its name of localhost, in a mount namespace that ends with it.
    """
    if root is None:
        return [str(program)]
    entry = pwd.getpwnam(user) if user else None
    whom = [f"--userspec={entry.pw_uid}:{entry.pw_gid}"] if entry else []
    there = f"/{program.relative_to(root)}"
    return [
        "unshare",
        "--mount",
        "--propagation",
        "slave",
        "sh",
        "-ec",
        _ENTER,
        "enter",
        str(root),
        *whom,
        str(root),
        there,
    ]


def find_program(name: str, directories: Iterable[str], root: Path | None = None) -> Path | None:
    """The program in the first of `directories` (patterns, the highest name wins) that has it, else on the PATH.

    The directories of servers come first, since what lies on the PATH may be a wrapper that changes user. With `root`
    it is looked for there, and answered with the root before it.
    """
    for pattern in [*directories, *(["/usr/bin", "/usr/sbin"] if root else [])]:
        found = sorted((root or Path("/")).glob(f"{pattern.lstrip('/')}/{name}"), reverse=True)
        if found:
            return found[0]
    if root:
        return None
    on_path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin")
    return Path(on_path) if on_path else None
