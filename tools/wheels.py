"""Every locked package has wheels for each Python and machine that we serve: `python -m tools.wheels`.

Where one is missing, `make run` ends in a build that wants compilers. The lock has hashes and no names of files, so
`make lock` writes down beside it which wheels there are (`--record`, from a lock in the form of PEP 751, which names
them), and `make lint` compares that with the lock and with what we serve, without asking anybody.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from packaging.markers import Marker
from packaging.requirements import Requirement

from supervisor.bootstrap import NEWEST, OLDEST

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = ("requirements.txt", "requirements-dev.txt", "crawler/requirements.txt")
RECORD: Final = "requirements-wheels.txt"

PYTHONS: Final = tuple(f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1))
MACHINES: Final = {
    "linux-x86_64": re.compile(r"manylinux.*_x86_64"),
    "linux-aarch64": re.compile(r"manylinux.*_aarch64"),
    "macos-arm64": re.compile(r"macosx_.*_(arm64|universal2)"),
}
_MARKERS: Final = {
    "linux-x86_64": {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    "linux-aarch64": {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
    "macos-arm64": {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
}

SOURCES: Final[Mapping[str, str]] = {
    "jieba": "pure Python; its maker publishes no wheels",
    "python-alipay-sdk": "pure Python; its maker publishes no wheels",
}
"""Packages that are built on the machine: they need no compiler."""

_ALL: Final = f"{PYTHONS[0]}-{PYTHONS[-1]}"
"""What stands in the record where there is a wheel for each of them on each machine."""

_WHEEL: Final = re.compile(r"[^/]+-(?P<python>[^-/]+)-(?P<abi>[^-/]+)-(?P<platform>[^-/]+)\.whl")


def serves(wheel: str, *, python: str, machine: str) -> bool:
    """Whether CPython of that version takes the wheel of that name on such a machine."""
    found = _WHEEL.search(wheel)
    if found is None:
        return False
    platforms = found["platform"].split(".")
    if "any" not in platforms and not any(MACHINES[machine].fullmatch(platform) for platform in platforms):
        return False
    return any(_takes(python, tag, found["abi"].split(".")) for tag in found["python"].split("."))


def _takes(python: str, tag: str, abis: Sequence[str]) -> bool:
    own = f"cp{python.replace('.', '')}"
    if tag == own:
        return own in abis or "abi3" in abis or "none" in abis
    if "abi3" in abis and tag.startswith("cp3"):
        return int(tag.removeprefix("cp3")) <= int(python.removeprefix("3."))
    return "none" in abis and tag in ("py3", *(f"py3{minor}" for minor in range(int(python.removeprefix("3.")) + 1)))


def served(wheels: Iterable[str]) -> dict[str, list[str]]:
    """The Pythons that wheels of these names serve, by machine."""
    names = list(wheels)
    return {
        machine: [python for python in PYTHONS if any(serves(name, python=python, machine=machine) for name in names)]
        for machine in MACHINES
    }


def locked(root: Path) -> dict[str, Marker | None]:
    """What the locks pin, as `name==version`, and when it is installed at all (None: always)."""
    found: dict[str, Marker | None] = {}
    for lock in LOCKS:
        for line in (root / lock).read_text("utf-8").splitlines():
            if line[:1].isalnum():
                pinned = Requirement(line.removesuffix("\\").strip())
                name = f"{pinned.name}{pinned.specifier}"
                # Where one lock has it always and another sometimes, it is always wanted.
                found[name] = pinned.marker and found.get(name, pinned.marker)
    return found


def read_record(root: Path) -> dict[str, dict[str, list[str]]]:
    """The Pythons that each pinned package has wheels for, by machine, as `make lock` found them."""
    record: dict[str, dict[str, list[str]]] = {}
    everything = {machine: list(PYTHONS) for machine in MACHINES}
    for line in (root / RECORD).read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, *machines = line.split()
            parts = [each.split(":") for each in machines if each != _ALL]
            record[name] = everything if machines == [_ALL] else {machine: said.split(",") for machine, said in parts}
    return record


def check(root: Path) -> list[str]:
    """A line for each package without a wheel somewhere, and for whatever in the record is not the lock's."""
    record, pinned = read_record(root), locked(root)
    said = [f"{name}: stands in {RECORD} and in no lock; run `make lock`" for name in sorted(record.keys() - pinned)]
    for name, marker in sorted(pinned.items()):
        if name not in record:
            said.append(f"{name}: is not in {RECORD}; run `make lock`")
        elif name.partition("==")[0] not in SOURCES:
            said += _missing(name, marker, record[name])
    present = {name.partition("==")[0] for name in pinned}
    said += [
        f"{name}: is let off in tools/wheels.py and not locked any more" for name in SOURCES if name not in present
    ]
    return said


def _missing(name: str, marker: Marker | None, wheels: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for machine in MACHINES:
        wanted = [python for python in PYTHONS if _is_installed(marker, python=python, machine=machine)]
        if missing := [python for python in wanted if python not in wheels.get(machine, ())]:
            yield f"{name}: has no wheel for Python {', '.join(missing)} on {machine}"


def _is_installed(marker: Marker | None, *, python: str, machine: str) -> bool:
    environment = {
        **_MARKERS[machine],
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
    }
    return marker is None or marker.evaluate(environment)


def record_wheels(root: Path, locks: Iterable[Path]) -> None:
    """Write the record from locks in the form of PEP 751, which name the wheels of each package."""
    wheels: dict[str, list[str]] = {}
    for lock in locks:
        for package in tomllib.loads(lock.read_text("utf-8"))["packages"]:
            names = [each.get("name") or each["url"] for each in package.get("wheels", ())]
            wheels[f"{package['name']}=={package['version']}"] = names
    lines = ["# Which Pythons each locked package has wheels for. `make lock` writes this, tools/wheels.py reads it."]
    for name, names in sorted(wheels.items()):
        found = served(names)
        machines = [f"{machine}:{','.join(pythons)}" for machine, pythons in found.items() if pythons]
        whole = all(tuple(pythons) == PYTHONS for pythons in found.values())
        lines.append(" ".join([name, _ALL] if whole else [name, *machines]))
    (root / RECORD).write_text("\n".join(lines) + "\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, or write the record with `--record`; the exit status is 0 where all is well, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tools.wheels", description=__doc__.partition("\n")[0])
    parser.add_argument("--record", nargs="+", type=Path, metavar="PYLOCK", help="write the record from these locks")
    locks = parser.parse_args(arguments).record
    if locks:
        record_wheels(ROOT, locks)
    said = check(ROOT)
    for line in said:
        print(line)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
