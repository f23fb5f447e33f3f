"""What is written in one turn of the event loop goes out at its end, to who is still there."""

import asyncio

import pytest

from hyperinfer.facilities.http.coalesced import FLUSH_BYTES, CoalescedTransport


class Connection(asyncio.Transport):
    """Keeps what is written, and takes no write once it has ended, as uvloop's."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.ended:
            raise RuntimeError("the handler is closed")
        self.written.append(bytes(data))

    def close(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended

    def get_write_buffer_size(self) -> int:
        return 0


async def test_one_write_in_each_turn() -> None:
    connection = Connection()
    transport = CoalescedTransport(connection, asyncio.get_running_loop())
    transport.write(b"head ")
    transport.write(b"body")
    assert connection.written == []
    await asyncio.sleep(0)
    assert connection.written == [b"head body"]
    transport.write(b"more")
    transport.close()
    assert connection.written == [b"head body", b"more"]


@pytest.mark.parametrize("size", [1, FLUSH_BYTES + 1])
async def test_a_client_that_goes_within_a_turn_is_written_nothing(size: int) -> None:
    connection, faults = Connection(), list[object]()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    transport = CoalescedTransport(connection, loop)
    transport.write(b"a")
    connection.close()
    transport.write(b"x" * size)
    await asyncio.sleep(0)
    assert (connection.written, faults) == ([], [])
