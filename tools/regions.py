"""Writes `app/regions/regions.tsv` from the package that it is taken from, when there is a newer one.

    npm pack @vant/area-data@2.1.0 && tar xzf vant-area-data-2.1.0.tgz
    python -m tools.regions package

Review the difference before it is committed: addresses are checked against it.
"""

import json
import re
import sys
from pathlib import Path
from typing import Final

OUTPUT: Final = Path(__file__).resolve().parent.parent / "app" / "regions" / "regions.tsv"

# 不设区的地级市: cities of the prefecture's level that are divided into towns at once. Source: 中华人民共和国民政部,
# 中华人民共和国行政区划 (2024). The package lists their towns, and for 嘉峪关 its former districts.
UNDIVIDED: Final = {"441900": "东莞市", "442000": "中山市", "460400": "儋州市", "620200": "嘉峪关市"}

# 香港, 澳门: an address there often names a street and no district.
OWN_WAYS: Final = ("81", "82")

_PAIR: Final = re.compile(r'(\d{6}): ("(?:[^"\\]|\\.)*")')


def main(arguments: list[str]) -> int:
    """Read the unpacked package that `arguments` names."""
    package = Path(arguments[0])
    about = json.loads((package / "package.json").read_text(encoding="utf-8"))
    script = (package / "dist" / "index.js").read_text(encoding="utf-8")
    names = {code: str(json.loads(name)).strip() for code, name in _PAIR.findall(script)}
    for code, name in UNDIVIDED.items():
        if names[code] != name:
            raise SystemExit(f"{code} is {names[code]} there, {name} here")
    lines = [
        f"# Provinces, cities and districts of China: {about['name']} {about['version']} of npm, by tools/regions.py.",
        f"# Licence: {about['license']}, in regions.LICENSE.",
        "# Code (GB/T 2260), name, and whether an address needs the level below it.",
        *("\t".join((code, names[code], _below(code, names))).rstrip() for code in sorted(names)),
    ]
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    OUTPUT.with_suffix(".LICENSE").write_text((package / "LICENSE").read_text(encoding="utf-8").rstrip() + "\n")
    return 0


def _below(code: str, names: dict[str, str]) -> str:
    """`required`, `optional`, or nothing where there is no level below."""
    stem = code[:2] if code.endswith("0000") else code[:4] if code.endswith("00") else code
    if not any(other != code and other.startswith(stem) for other in names):
        return ""
    return "optional" if code in UNDIVIDED or code.startswith(OWN_WAYS) else "required"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
