"""Which user PostgreSQL and Valkey run as, and the folders that user can reach.

PostgreSQL refuses to run as root, and Valkey has no need to. Started by root, both run as an unprivileged user
that exists already: the owner of the data, else of the nearest folder above it that is not root's, else `nobody`.
No user is created, and no permission of a folder that is not our own is changed. If that user cannot reach the
project (a checkout under /root, say), data and a copy of the server programs live under `/var/lib/saltfish`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .children import Account
from .errors import StartError

SYSTEM_FOLDER = Path("/var/lib/saltfish")
_FALLBACK_USER = "nobody"


def digest(path: Path) -> str:
    """A short name for a path, the same at every start."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def choose_account(root: Path) -> Account | None:
    """The user to run servers as whose data folder is `root`; None where we are not root: they run as we do.

    Raises `StartError` where root finds no unprivileged user at all.
    """
    if os.geteuid() != 0:
        return None
    candidates = (root / "data", away_from(root) / "data", root, *root.parents)
    for owner in (path.stat().st_uid for path in candidates if path.exists()):
        if owner != 0 and (account := _account(owner)):
            return account
    account = _account(_FALLBACK_USER)
    if account is None:
        raise StartError(f"PostgreSQL does not run as root, and there is no user {_FALLBACK_USER!r} to run it as")
    return account


def _account(user: str | int) -> Account | None:
    try:
        entry = pwd.getpwnam(user) if isinstance(user, str) else pwd.getpwuid(user)
    except KeyError:  # a folder mounted from another machine may have an owner that is unknown here
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def away_from(root: Path) -> Path:
    """Where the folder for `root` is when the servers' user cannot reach `root` itself."""
    return SYSTEM_FOLDER / f"{root.name}-{digest(root)}"


def choose_home(root: Path, account: Account | None) -> Path:
    """`root`, or the folder that stands in for it; created, and reachable by `account`.

    Data stays where it is once it exists. Raises `StartError` when it exists and cannot be reached any more.
    """
    away = away_from(root)
    if account is None:
        _make_folder(root, 0o700)
        return root
    if not (away / "data").exists():
        created = not root.exists()
        _make_folder(root, 0o711)
        if _reaches(root, account):
            return root
        if (root / "data").exists():
            raise StartError(
                f"{root} cannot be reached by user {account.name!r}, who owns the data in it: "
                f"open the folders above it again, or run as a user that can"
            )
        if created:
            root.rmdir()
    _make_folder(SYSTEM_FOLDER, 0o755)
    _make_folder(away, 0o711)
    return away


def make_private(folder: Path, account: Account | None) -> None:
    """Create `folder` for the servers alone (mode 0700, owned by `account`), or check that it is just that.

    Raises `StartError` if something else has its name: in a shared place like /tmp that may be an attack.
    """
    owner = os.geteuid() if account is None else account.uid
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or stat.S_IMODE(found.st_mode) & 0o077:
            raise StartError(f"{folder} exists and is not a private folder of ours; remove it") from None
        return
    if account is not None:
        os.chown(folder, account.uid, account.gid)


def programs(package: str, parts: Sequence[str], program: Path, account: Account | None) -> Path:
    """The folder that holds the wheel's files `parts`, with `program` in it runnable by `account`.

    That is where the wheel is installed, or a copy under `SYSTEM_FOLDER` when `account` cannot read it there.
    Raises `StartError` if the wheel is missing or its program does not run on this machine.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise StartError(f"the wheel {package} is not installed: run `make run`, or set DATABASE_URL and REDIS_URL")
    installed = Path(spec.origin).parent.parent
    if _runs(installed / program, account):
        return installed
    if account is None:
        raise StartError(f"{installed / program} does not run on this machine")
    copy = SYSTEM_FOLDER / "servers" / f"{package}-{importlib.metadata.version(package)}"
    if not copy.exists():
        _copy_programs(installed, parts, copy)
    if not _runs(copy / program, account):
        raise StartError(f"{copy / program} does not run as user {account.name!r}")
    return copy


def _copy_programs(installed: Path, parts: Sequence[str], copy: Path) -> None:
    _make_folder(SYSTEM_FOLDER, 0o755)
    _make_folder(copy.parent, 0o755)
    unfinished = copy.with_name(f".{copy.name}.{os.getpid()}")
    for part in parts:
        if (installed / part).exists():
            shutil.copytree(installed / part, unfinished / part, symlinks=True)
    for folder, _, names in os.walk(unfinished):
        Path(folder).chmod(0o755)
        for path in (Path(folder, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
    try:
        unfinished.rename(copy)  # in one step, so that nobody ever sees half a copy
    except OSError:
        shutil.rmtree(unfinished)
        if not copy.exists():  # where it does, another start has made the same copy meanwhile
            raise


def _make_folder(folder: Path, mode: int) -> None:
    if folder.is_dir():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)  # mkdir's own mode is cut by the umask
    except OSError as error:
        raise StartError(f"cannot create {folder}: {error.strerror}") from error


def _reaches(folder: Path, account: Account) -> bool:
    return _succeeds(["test", "-x", str(folder)], account)


def _runs(program: Path, account: Account | None) -> bool:
    return _succeeds([str(program), "--version"], account)


def _succeeds(command: list[str], account: Account | None) -> bool:
    who = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    try:
        finished = subprocess.run(command, cwd="/", capture_output=True, check=False, **who)  # type: ignore[call-overload]  # keywords chosen at run time
    except OSError:
        return False
    return bool(finished.returncode == 0)
