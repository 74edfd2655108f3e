"""A receiver that means harm, in a process of its own: the path's first segment says how. Prints its port, ends with its standard input.

    /endless-headers/17    header lines for ever                   /reset/17         RST after the request
    /endless-body/17       200, then a body for ever               /half-head/17     closes inside a header line of a 200
    /slow/17               a good answer, one byte a second        /two-lengths/17   200 with two Content-Lengths that differ
    /garbage/17            bytes that are no HTTP                  /endless-1xx/17   interim responses for ever
    /silence/17            takes the request, says nothing         /good/17          200: the control's"""
import asyncio
import os
import resource
import socket
import struct
import sys

CHUNK = 4096


async def repeat(writer, piece):
    while True:
        writer.write(piece)
        await writer.drain()


async def endless_headers(writer, _):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await repeat(writer, b"x-more: " + b"m" * CHUNK + b"\r\n")


async def endless_body(writer, _):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await repeat(writer, b"%x\r\n" % CHUNK + b"b" * CHUNK + b"\r\n")


async def slow(writer, _):
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def garbage(writer, _):
    writer.write(os.urandom(CHUNK))


async def reset(writer, _):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def half_head(writer, _):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")


async def two_lengths(writer, reader):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\nok")
    await read_request(reader)  # never comes: nobody knows where the response ended
    writer.write(b"HTTP/1.1 500 Used Again\r\nContent-Length: 0\r\n\r\n")


async def endless_1xx(writer, _):
    await repeat(writer, b"HTTP/1.1 102 Processing\r\n\r\n" * 64)


async def silence(writer, _):
    await asyncio.sleep(3600)


async def good(writer, _):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

KINDS = {"endless-headers": endless_headers, "endless-body": endless_body, "slow": slow, "garbage": garbage, "reset": reset,
         "half-head": half_head, "two-lengths": two_lengths, "endless-1xx": endless_1xx, "silence": silence, "good": good}


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(lengths[0]) if lengths else 0)
    return head.split()[1].decode()


async def serve_one(reader, writer):
    try:
        path = await read_request(reader)
        await KINDS[path.split("/")[1]](writer, reader)
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve_one, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    await stdin.read()
    os._exit(0)  # whatever hangs on a connection


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main())
