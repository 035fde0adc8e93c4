"""The check that every locked package has wheels for what we serve."""

from pathlib import Path

import pytest

from tools.wheels import LOCKS, MACHINES, PYTHONS, RECORD, check, record_wheels, served, serves

WHEEL = "thing-1.0-{}.whl"


@pytest.mark.parametrize(
    ("tags", "python", "machine", "served_"),
    [
        ("py3-none-any", "3.11", "macos-arm64", True),
        ("py2.py3-none-any", "3.14", "linux-aarch64", True),
        ("py2-none-any", "3.14", "linux-aarch64", False),
        ("py312-none-any", "3.11", "linux-x86_64", False),
        ("cp313-cp313-manylinux_2_28_x86_64", "3.13", "linux-x86_64", True),
        ("cp313-cp313-manylinux_2_28_x86_64", "3.14", "linux-x86_64", False),
        ("cp313-cp313t-manylinux_2_28_x86_64", "3.13", "linux-x86_64", False),
        ("cp313-cp313-manylinux_2_28_x86_64", "3.13", "linux-aarch64", False),
        ("cp313-cp313-musllinux_1_2_x86_64", "3.13", "linux-x86_64", False),
        ("cp39-abi3-manylinux_2_17_aarch64.manylinux2014_aarch64", "3.14", "linux-aarch64", True),
        ("cp312-abi3-manylinux2014_aarch64", "3.11", "linux-aarch64", False),
        ("py3-none-macosx_11_0_universal2", "3.11", "macos-arm64", True),
        ("cp311-cp311-macosx_10_9_x86_64", "3.11", "macos-arm64", False),
        ("pp311-pypy311_pp73-manylinux_2_28_x86_64", "3.11", "linux-x86_64", False),
    ],
)
def test_which_wheel_is_taken_where(tags: str, python: str, machine: str, served_: bool) -> None:
    assert serves(f"https://files.example/ab/{WHEEL.format(tags)}", python=python, machine=machine) is served_
    assert not serves("thing-1.0.tar.gz", python=python, machine=machine)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three locks with two packages, and what the index has of them."""
    (tmp_path / "crawler").mkdir()
    for lock in LOCKS:
        hashed = " \\\n    --hash=sha256:00\n"
        (tmp_path / lock).write_text(
            f"pure==1.0{hashed}fast==2.0 ; python_full_version >= '3.12'{hashed}    # via pure\n"
        )
    wheels = {
        "pure": ["pure-1.0-py3-none-any.whl"],
        "fast": [f"fast-2.0-cp312-abi3-{each}.whl" for each in ("manylinux_2_28_x86_64", "macosx_11_0_arm64")],
    }
    wheels["fast"] += [f"fast-2.0-cp3{minor}-cp3{minor}-manylinux2014_aarch64.whl" for minor in (12, 13)]
    lines = []
    for name, names in wheels.items():
        version = names[0].split("-")[1]
        listed = ", ".join(f'{{ url = "https://files.example/{each}" }}' for each in names)
        lines.append(f'[[packages]]\nname = "{name}"\nversion = "{version}"\nwheels = [{listed}]\n')
    (tmp_path / "pylock.toml").write_text("".join(lines))
    record_wheels(tmp_path, [tmp_path / "pylock.toml"])
    return tmp_path


def test_a_missing_wheel_is_named_with_its_python_and_machine(tree: Path) -> None:
    missing = "fast==2.0: has no wheel for Python 3.14 on linux-aarch64"
    lines = [line for line in check(tree) if "is let off" not in line]
    assert lines == [missing]
    (tree / "pylock.toml").write_text((tree / "pylock.toml").read_text().replace("cp313-cp313", "cp313-abi3"))
    record_wheels(tree, [tree / "pylock.toml"])
    assert [line for line in check(tree) if "is let off" not in line] == []


def test_a_record_of_another_lock_is_noticed(tree: Path) -> None:
    lock = tree / LOCKS[0]
    lock.write_text(lock.read_text().replace("pure==1.0", "pure==1.1"))
    assert f"pure==1.1: is not in {RECORD}; run `make lock`" in check(tree)
    for each in LOCKS[1:]:
        (tree / each).write_text(lock.read_text())
    assert f"pure==1.0: stands in {RECORD} and in no lock; run `make lock`" in check(tree)


def test_what_is_let_off_has_to_be_locked(tree: Path) -> None:
    assert "jieba: is let off in tools/wheels.py and not locked any more" in check(tree)


def test_everything_means_every_python_on_every_machine() -> None:
    assert served([WHEEL.format("py3-none-any")]) == {machine: list(PYTHONS) for machine in MACHINES}


def test_ours_have_them_all() -> None:
    assert check(Path(__file__).resolve().parents[2]) == []
