#!/usr/bin/env python3
"""Clients for what wrk cannot do: uploads, connections that stay idle, clients that read slowly.

Usage: clients.py upload PORT MIB SECONDS length|chunked
       clients.py idle PORT COUNT            says when all are open, then waits for its input's end
       clients.py slow PORT COUNT PATH RATE  likewise, and reads RATE bytes a second on each

Each prints lines of JSON. Only the server's processor time is measured, so that these may be plain.
"""

import json
import re
import select
import socket
import sys
import threading
import time

ANSWER_BYTES = 4096


def connect(port, **options):
    """A connection, with the receive buffer set before it is made if `receive` is given."""
    client = socket.socket()
    if receive := options.get("receive"):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    return client


def request(path):
    """A GET that keeps the connection open."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def answer(client):
    """Reads one response with a Content-Length; returns its status."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = client.recv(ANSWER_BYTES)
        if not received:
            raise ConnectionError("closed before the response")
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    left = int(length[1]) - len(body) if length else 0
    while left > 0:
        left -= len(client.recv(left))
    return int(head.split()[1])


def tell(**values):
    """A line of JSON."""
    print(json.dumps(values), flush=True)


def upload(port, mib, seconds, framing):
    """PUTs one file after another, on two connections at a time."""
    times, failed = [], []
    arguments = int(port), int(mib), time.monotonic() + float(seconds), framing == "chunked"
    senders = [threading.Thread(target=put, args=(f"file{n}", *arguments, times, failed)) for n in range(2)]
    start = time.monotonic()
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    spent = time.monotonic() - start
    times.sort()
    middle, last = (times[len(times) // 2], times[-1]) if times else (0, 0)
    tell(requests=len(times), seconds=spent, p50=middle * 1e6, p99=last * 1e6, failed=len(failed))


def put(name, port, mib, end, chunked, times, failed):
    """PUTs the same file until it is time to end, at least once."""
    piece, count = bytes(range(256)) * 1024, mib * 4
    field = f"Content-Length: {count * len(piece)}"
    if chunked:
        field, piece = "Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(piece), piece)
    head = f"PUT /up/{name} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n".encode()
    client = connect(port)
    while True:
        start = time.monotonic()
        client.sendall(head)
        for _ in range(count):
            client.sendall(piece)
        if chunked:
            client.sendall(b"0\r\n\r\n")
        if answer(client) not in (201, 204):
            failed.append(name)
        times.append(time.monotonic() - start)
        if time.monotonic() > end:
            return


def idle(port, count):
    """Connections that have had one response each and stay open."""
    clients = []
    for _ in range(int(count)):
        client = connect(int(port))
        client.sendall(request("/1k.html"))
        answer(client)
        clients.append(client)
    tell(open=len(clients))
    sys.stdin.read()
    for client in clients:
        client.settimeout(None)
        client.setblocking(False)
    tell(open=sum(map(still_open, clients)))


def still_open(client):
    """Whether the server has not closed the connection."""
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def slow(port, count, path, rate):
    """Clients that ask for a large file and read a piece of it each second, each at its own time."""
    clients = [connect(int(port), receive=4 * int(rate)) for _ in range(int(count))]
    for client in clients:
        client.sendall(request(path))
        client.setblocking(False)
    tell(open=len(clients))
    received, turns, start, turn = 0, 20, time.monotonic(), 0
    while not select.select([sys.stdin], [], [], max(0, start + turn / turns - time.monotonic()))[0]:
        for client in clients[turn % turns :: turns]:
            try:
                received += len(client.recv(int(rate)))
            except BlockingIOError:
                continue
        turn += 1
    tell(open=sum(map(still_open, clients)), bytes=received, seconds=time.monotonic() - start)


if __name__ == "__main__":
    {"upload": upload, "idle": idle, "slow": slow}[sys.argv[1]](*sys.argv[2:])
