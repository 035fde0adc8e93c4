"""The threads of a web process: whatever their work does, they are there for the next."""

import asyncio

import pytest

from app.web.threads import RequestThreads


class _Panic(BaseException):
    """As granian's panics: no Exception."""


def _panic() -> None:
    raise _Panic


def _fail() -> None:
    raise ValueError("so")


def test_work_that_raises_ends_no_thread_and_nobody_waits_for_ever() -> None:
    async def work() -> int:
        threads = RequestThreads(1)
        threads.start(asyncio.get_running_loop())
        async with asyncio.timeout(10):
            await threads.submit(_panic)
            with pytest.raises(ValueError, match="so"):
                await threads.run(_fail)
            with pytest.raises(RuntimeError, match="_Panic"):  # an own kind would end the loop
                await threads.run(_panic)
            done: list[bool] = []
            await threads.run(lambda: done.append(True))
            assert done == [True]
        threads.stop()
        return threads.finished

    assert asyncio.run(work()) == 4
