"""The two ends of the probe: `echo` sends back what it gets; `ask` sends a datagram every 50 ms until its input ends, and then
prints a JSON list of when each was sent (seconds of time.monotonic()) and how long its echo took (seconds, null: none came)."""

import json
import os
import select
import socket
import struct
import sys
import time

EVERY_SECONDS = 0.05
# What a voice packet of 20 ms has, about.
PADDING = bytes(100)
NUMBER = struct.Struct("!Q")
# Echoes that were on their way when the input ended.
LAST_SECONDS = 0.5


def hurry():
    """Ahead of the programs that are measured: their load must not look like a queue."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
    except OSError as error:
        print(f"probe: without real-time priority it is coarse: {error}", file=sys.stderr)


def echo(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        it.bind(address)
        while True:
            datagram, sender = it.recvfrom(2048)
            it.sendto(datagram, sender)


def ask(address):
    samples = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        it.connect(address)
        next_at = time.monotonic()
        stop_at = None
        while stop_at is None or time.monotonic() < stop_at:
            now = time.monotonic()
            if stop_at is None and now >= next_at:
                samples.append([now, None])
                send(it, NUMBER.pack(len(samples) - 1) + PADDING)
                next_at += EVERY_SECONDS
            waits = [it] if stop_at else [it, sys.stdin]
            ready, _, _ = select.select(waits, [], [], max(0, (stop_at or next_at) - time.monotonic()))
            if it in ready:
                arrived = time.monotonic()
                number = receive(it)
                if number is not None and number < len(samples):
                    samples[number][1] = arrived - samples[number][0]
            if sys.stdin in ready:
                stop_at = time.monotonic() + LAST_SECONDS
    json.dump(samples, sys.stdout)


def send(it, datagram):
    try:
        it.send(datagram)
    except OSError:
        pass  # counted by its missing echo


def receive(it):
    try:
        return NUMBER.unpack_from(it.recv(2048))[0]
    except OSError:
        return None  # nobody listens yet


if __name__ == "__main__":
    mode, host, port = sys.argv[1:]
    hurry()
    (echo if mode == "echo" else ask)((host, int(port)))
