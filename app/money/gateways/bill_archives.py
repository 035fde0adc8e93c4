"""The day's bill out of the ZIP archive that Alipay offers for download."""

import zipfile
import zlib
from io import BytesIO
from typing import Final

# A row has some 300 bytes, so this is a day of several hundred thousand movements.
_LONGEST: Final = 256 * 1024 * 1024
_DETAILS: Final = "业务明细"
_SUMMARY: Final = "汇总"
# What zipfile raises, depending on where an archive is damaged, or packed otherwise than it can read.
_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    UnicodeDecodeError,
    NotImplementedError,
    RuntimeError,
    OSError,
)


def bill_in(archive: bytes) -> bytes:
    """The file 业务明细 in the archive, unpacked (the other one is a summary); ValueError says why there is none.

    Its name is GBK, which ZIP does not know.
    """
    try:
        with zipfile.ZipFile(BytesIO(archive), metadata_encoding="gbk") as members:
            details = [
                each
                for each in members.infolist()
                if each.filename.lower().endswith(".csv")
                and _DETAILS in each.filename
                and _SUMMARY not in each.filename
            ]
            if len(details) != 1:
                raise ValueError(f"the archive has {len(details)} files {_DETAILS}")
            if details[0].file_size > _LONGEST:
                raise ValueError(f"{_DETAILS} has {details[0].file_size} bytes")
            return members.read(details[0])
    except _UNREADABLE as error:
        raise ValueError(f"it is no such archive: {error}") from error
