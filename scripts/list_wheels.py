"""List what wheels hold, and refuse what must not be in one.

Usage: ``python scripts/list_wheels.py WHEEL ...``. A ``.pth`` file would run code at every start
of Python; tests and another package's modules have no business in a wheel; ``py.typed`` is what
makes type checkers read it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile


def problems_of(name: str, files: list[str]) -> list[str]:
    """Say what is wrong with a wheel's files."""
    tops = {file.partition("/")[0] for file in files if ".dist-info/" not in file}
    found = [f"{file} has no place in a wheel" for file in files if file.endswith(".pth")]
    found += [f"{file} is a test" for file in files if "tests/" in file]
    if len(tops) != 1:
        found.append(f"{name} brings {sorted(tops)}, not one package")
    if not any(file.endswith("py.typed") for file in files):
        found.append(f"{name} has no py.typed")
    return found


def main() -> int:
    problems: list[str] = []
    for path in map(Path, sys.argv[1:]):
        with ZipFile(path) as archive:
            infos = archive.infolist()
        print(f"{path.name}: {path.stat().st_size:,} bytes, {len(infos)} files")
        for info in infos:
            print(f"  {info.file_size:>9,}  {info.filename}")
        problems += problems_of(path.name, [info.filename for info in infos])
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
