"""Pack the built book into one zip that opens from the disk.

The same pages give the same bytes: names in order, no dates, no rights but reading.
"""

import sys
import zipfile
from pathlib import Path

HTML = Path("_build/html")
TARGET = Path("_build/from-mixtures-to-images.zip")


def pack(html, target):
    """Write all files below `html` into the zip `target`, in one folder of its name."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(html.rglob("*"), key=lambda path: path.relative_to(html).as_posix()):
            if not path.is_file() or path.name == ".buildinfo":
                continue
            name = f"{target.stem}/{path.relative_to(html).as_posix()}"
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is made
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, path.read_bytes(), compresslevel=9)


if __name__ == "__main__":
    if not (HTML / "index.html").exists():
        sys.exit("The book is not built. Run `make book` first.")
    pack(HTML, TARGET)
    print(f"{TARGET}, {TARGET.stat().st_size / 1e6:.1f} MB. Unpack it and open index.html")
