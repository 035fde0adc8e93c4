"""The process that prepares uploaded pictures, one at a time: `python -m app.goods.decoder`.

A few bytes of a picture can mean minutes of work and gigabytes of memory, and decoders have faults. So they run here:
within limits, behind what answers requests, without secrets, without a file to write, and nothing is lost when
the system ends this process. `app.goods.uploads` starts it.

It serves the socket that is its standard input until the other side closes it. A request is `REQUEST` and the upload;
the answer is `ANSWER`, a JSON object (`Reply`) and, where the picture was not refused, its data.
"""

import json
import os
import resource
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import Final

from typing_extensions import TypedDict

from app.goods.pictures import PreparedPicture
from app.goods.preparation import PictureRefused, PixelLimits, prepare

REQUEST: Final = struct.Struct("!QQQQQ")
"""The upload's length; how many pixels it may have as a JPEG, and else; the seconds of processor time and bytes of
memory that it may take."""

ANSWER: Final = struct.Struct("!II")
"""The lengths of the JSON object and of the picture's data."""

_NICENESS: Final = 3  # half as much of a busy processor as others get


class Reply(TypedDict):
    """What became of an upload: `refusal` says why it was refused, else the rest describes the picture."""

    seconds: float  # of processor time
    total_seconds: float  # the same of this process since its start
    pixels: int  # of the upload, where it came to decoding them
    exhausted: bool  # whether it took more memory than it may
    refusal: str
    content_type: str
    width: int
    height: int


def receive(connection: socket.socket, length: int) -> bytearray | None:
    """Exactly `length` bytes; None if the other side has closed the connection before."""
    data = bytearray(length)
    with memoryview(data) as view:
        received = 0
        while received < length:
            count = connection.recv_into(view[received:])
            if count == 0:
                return None
            received += count
    return data


def main() -> None:
    """Serve until the other side closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; this one ends by itself
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the end, wherever the decoder is
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with socket.socket(fileno=os.dup(0)) as connection, suppress(ConnectionError):
        while (request := receive(connection, REQUEST.size)) is not None:
            length, jpeg_pixels, pixels, seconds, memory = REQUEST.unpack(request)
            source = receive(connection, length)
            if source is None:
                return
            _limit_memory(memory)
            signal.setitimer(signal.ITIMER_PROF, seconds)
            reply, data = _prepared(bytes(source), limits=PixelLimits(jpeg=jpeg_pixels, others=pixels))
            signal.setitimer(signal.ITIMER_PROF, 0)
            text = json.dumps(reply).encode()
            connection.sendall(ANSWER.pack(len(text), len(data)) + text)
            connection.sendall(data)


def _limit_memory(limit: int) -> None:
    if sys.platform == "linux":  # macOS does not count address space that is reserved only, and refuses the limit
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _prepared(source: bytes, *, limits: PixelLimits) -> tuple[Reply, bytes]:
    began = time.process_time()
    picture: PreparedPicture | None = None
    refusal, pixels, exhausted = "", 0, False
    try:
        picture = prepare(source, bytes_limit=len(source), limits=limits)
        pixels = picture.decoded_pixels
    except PictureRefused as refused:
        refusal, pixels = str(refused), refused.decoded_pixels
    except MemoryError:
        exhausted = True
    total = time.process_time()
    reply: Reply = {
        "seconds": total - began,
        "total_seconds": total,
        "pixels": pixels,
        "exhausted": exhausted,
        "refusal": refusal,
        "content_type": picture.content_type if picture else "",
        "width": picture.width if picture else 0,
        "height": picture.height if picture else 0,
    }
    return reply, picture.data if picture else b""


if __name__ == "__main__":
    main()
