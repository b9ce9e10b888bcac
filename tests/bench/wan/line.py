"""A line between a clinic and a hospital, each a network namespace of this machine, with the kernel's own TCP and UDP on it.

    with Line(rtt_ms=60, loss=1, mbit=20, tcp="bbr") as line:
        server = line.hospital("storescp", "11112")
        line.clinic("dcmsend", Line.HOSPITAL, "11112", "file.dcm").wait()
        line.down(); line.up(); line.block_udp(); line.unblock_udp()
        print(line.stats()["to_hospital"]["entered_bytes"])

`line.c` beside this file carries the packets. `available()` says what is missing where it cannot.
"""

import atexit
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE.parents[2] / "target/bench/line"
PREFIX = "medrelay-"
DEVICE = "line0"
ALLOWED = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
# Packets in the device that `line` has not taken yet; more than it ever lets wait, so that only its own queue drops.
DEVICE_QUEUE = 10_000
STOP_SECONDS = 5

SILENCE = """
table inet medrelay_line {
    chain input {
        type filter hook input priority 0; policy accept;
        meta l4proto udp drop
    }
}
"""


def available():
    """What this machine lacks, in one sentence; None when a line can be made."""
    if os.geteuid() != 0:
        return "network namespaces need root: run it as root"
    if shutil.which("ip") is None:
        return "the program ip is missing: install the Debian package iproute2"
    if shutil.which("cc") is None:
        return "a C compiler is missing: install the Debian package gcc"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun cannot be opened ({error.strerror}): load the kernel module tun, or give the container this device"
    name = f"{PREFIX}{os.getpid()}-try"
    tried = _run("ip", "netns", "add", name, check=False)
    _run("ip", "netns", "del", name, check=False)
    if tried.returncode != 0:
        return f"network namespaces are not allowed here (ip netns add: {tried.stderr.strip()})"
    return None


def congestion_controls():
    """What this kernel's TCP can do."""
    return Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()


class Line:
    """A line that is up while it is entered. Several may exist at once, also of several programs."""

    CLINIC, HOSPITAL = "10.20.0.1", "10.20.0.2"
    _numbers = itertools.count()

    def __init__(self, rtt_ms, loss, mbit, queue_ms=None, tcp="cubic", seed=1):
        """`loss` in percent; `mbit` 0 for no bottleneck; the queue is one round trip, at least 20 ms, unless told otherwise."""
        self.rtt_ms, self.loss, self.mbit, self.tcp, self.seed = rtt_ms, loss, mbit, tcp, seed
        self.queue_ms = max(rtt_ms, 20) if queue_ms is None else queue_ms
        number = next(self._numbers)
        self.names = {side: f"{PREFIX}{os.getpid()}-{number}-{side}" for side in ("clinic", "hospital")}
        self._carrier = None
        self._telling = threading.Lock()
        self._silent = None

    def __enter__(self):
        sweep()
        atexit.register(self.close)
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()
        atexit.unregister(self.close)

    def _open(self):
        for name in self.names.values():
            _run("ip", "netns", "add", name)
        settings = [str(it) for it in (self.rtt_ms, self.loss, self.mbit, self.queue_ms, self.seed)]
        self._carrier = subprocess.Popen(
            [build(), *self.names.values(), DEVICE, *settings],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        if self._carrier.stdout.readline() != "ready\n":
            raise RuntimeError("the line did not come up: see above")
        for side, address in (("clinic", self.CLINIC), ("hospital", self.HOSPITAL)):
            name = self.names[side]
            # Nothing but what the programs send shall be counted: no neighbour discovery.
            _run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", check=False)
            _run("ip", "-n", name, "link", "set", "lo", "up")
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", DEVICE)
            _run("ip", "-n", name, "link", "set", DEVICE, "txqueuelen", str(DEVICE_QUEUE), "up")
        self._set_tcp()

    def _set_tcp(self):
        if self.tcp not in congestion_controls():
            raise RuntimeError(f"this kernel has no TCP {self.tcp}, only {' '.join(congestion_controls())}")
        # A namespace may only choose what everybody on the machine may. Given back at once: the choice stays.
        before = ALLOWED.read_text()
        if self.tcp not in before.split():
            ALLOWED.write_text(f"{before.strip()} {self.tcp}")
        try:
            for name in self.names.values():
                _run("ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv4.tcp_congestion_control={self.tcp}")
        finally:
            if ALLOWED.read_text() != before:
                ALLOWED.write_text(before)

    def close(self):
        """Ends what runs at both ends, the line, and the namespaces. Called more than once, it does nothing more."""
        for name in self.names.values():
            _end_all_in(name)
        if self._carrier is not None:
            self._carrier.stdin.close()
            try:
                self._carrier.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._carrier.kill()
                self._carrier.wait()
            self._carrier.stdout.close()
            self._carrier = None
        for name in self.names.values():
            _run("ip", "netns", "del", name, check=False)

    def clinic(self, *command, **options):
        """Starts a program at the clinic; `options` as of subprocess.Popen."""
        return self._start("clinic", command, options)

    def hospital(self, *command, **options):
        """Starts a program at the hospital; `options` as of subprocess.Popen."""
        return self._start("hospital", command, options)

    def _start(self, side, command, options):
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(["ip", "netns", "exec", self.names[side], *map(str, command)], **options)

    def wait_for_port(self, process, port, seconds=60):
        """Waits until something at the hospital, which `process` is to be, takes connections on this port."""
        ask = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1).close()"
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"a server ended at once with {process.returncode}")
            asked = self.hospital(sys.executable, "-c", ask, self.HOSPITAL, port, stderr=subprocess.DEVNULL)
            if asked.wait() == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"nothing listens on port {port} after {seconds} s")

    def _tell(self, command):
        with self._telling:
            self._carrier.stdin.write(command + "\n")
            self._carrier.stdin.flush()
            answer = self._carrier.stdout.readline().strip()
        if not answer or answer == "unknown command":
            raise RuntimeError(f"the line does not take {command!r}")
        return answer

    def stats(self):
        """Counters since the start, a dictionary for each of `to_hospital` and `to_clinic`, and `now_us`."""
        return json.loads(self._tell("stats"))

    def down(self):
        """Cuts it: what is on it and what comes vanishes."""
        self._tell("down")

    def up(self):
        """Mends it."""
        self._tell("up")

    def set_rate(self, mbit):
        """Another bottleneck, for what comes from now on."""
        self._tell(f"rate {mbit}")

    def set_loss(self, percent):
        """Another loss."""
        self._tell(f"loss {percent}")

    def block_udp(self):
        """UDP vanishes without a word, TCP goes on. Answers by what: "nftables", or "line" where there is none."""
        # At the receiving ends: dropped where it is sent, the sender would be told.
        blocked = [
            subprocess.run(
                ["ip", "netns", "exec", name, "nft", "-f", "-"], input=SILENCE, capture_output=True, text=True
            ).returncode == 0
            for name in self.names.values()
        ]
        self._silent = "nftables" if all(blocked) else "line"
        if self._silent == "line":
            self._tell("udp off")
        return self._silent

    def unblock_udp(self):
        """UDP goes on."""
        if self._silent == "line":
            self._tell("udp on")
        for name in self.names.values():
            _run("ip", "netns", "exec", name, "nft", "delete", "table", "inet", "medrelay_line", check=False)
        self._silent = None

    def tcp_counters(self, side="clinic"):
        """The kernel's counters of TCP at one end: OutSegs, RetransSegs and the like."""
        text = _run("ip", "netns", "exec", self.names[side], "cat", "/proc/net/snmp").stdout
        names, values = [row.split()[1:] for row in text.splitlines() if row.startswith("Tcp:")]
        return {name: int(value) for name, value in zip(names, values)}

    def probe(self):
        """A `Probe` over this line."""
        return Probe(self)


class Probe:
    """A small UDP echo every 50 ms beside whatever else goes over the line: what a call on it would feel."""

    PORT = 7007

    def __init__(self, line):
        self._line = line
        self._samples = None

    def __enter__(self):
        program = [sys.executable, HERE / "probe.py"]
        self._echo = self._line.hospital(*program, "echo", self._line.HOSPITAL, self.PORT)
        self._ask = self._line.clinic(
            *program, "ask", self._line.HOSPITAL, self.PORT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_):
        try:
            self._samples = json.loads(self._ask.communicate(timeout=STOP_SECONDS)[0])
        finally:
            for process in (self._ask, self._echo):
                process.kill()
                process.wait()

    def queue_delay(self, begin, end, idle=None):
        """What the samples sent between two times of time.monotonic() say, in milliseconds.

        The delay of a sample is its round trip less the shortest one of all. `idle` is a pair of times between which nothing
        else was sent: the mean delay then is what the probe's own programs and the machine cost, and is taken off.
        """
        answered = [round_trip for _, round_trip in self._samples if round_trip is not None]
        if not answered:
            return None
        shortest = min(answered)

        def delays(since, until):
            return sorted(
                (round_trip - shortest) * 1000
                for sent, round_trip in self._samples
                if since <= sent < until and round_trip is not None
            )

        def mean(values):
            return sum(values) / len(values) if values else 0.0

        during = delays(begin, end)
        if not during:
            return None
        own = mean(delays(*idle)) if idle else 0.0
        sent = sum(1 for at, _ in self._samples if begin <= at < end)
        return {
            "mean_ms": max(0.0, mean(during) - own),
            "p95_ms": max(0.0, during[min(len(during) - 1, int(len(during) * 0.95))] - own),
            "own_ms": own,
            "shortest_ms": shortest * 1000,
            "sent": sent,
            "unanswered": sent - len(during),
        }


def build():
    """The compiled `line.c`; compiled anew when the source is newer."""
    source = HERE / "line.c"
    if not BUILT.exists() or BUILT.stat().st_mtime < source.stat().st_mtime:
        BUILT.parent.mkdir(parents=True, exist_ok=True)
        made = BUILT.with_suffix(f".{os.getpid()}")
        _run("cc", "-O2", "-Wall", "-Wextra", "-o", str(made), str(source))
        made.replace(BUILT)
    return str(BUILT)


def sweep():
    """Removes the namespaces of programs that were killed before they could."""
    for row in _run("ip", "netns", "list", check=False).stdout.splitlines():
        name = row.split()[0]
        owner = name.removeprefix(PREFIX).split("-")[0]
        if name.startswith(PREFIX) and owner.isdigit() and not Path(f"/proc/{owner}").exists():
            _end_all_in(name)
            _run("ip", "netns", "del", name, check=False)


def _end_all_in(namespace):
    deadline = time.monotonic() + STOP_SECONDS
    kind = signal.SIGTERM
    while True:
        listed = _run("ip", "netns", "pids", namespace, check=False).stdout.split()
        living = [int(process) for process in listed if _lives(process)]
        if not living:
            return
        late = time.monotonic() > deadline
        for process in living:
            try:
                os.kill(process, signal.SIGKILL if late else kind)
            except ProcessLookupError:
                pass
        if late:
            return
        # Asked once; then only waited for.
        kind = 0
        time.sleep(0.05)


def _lives(process):
    """Whether it is there and not merely waiting for its parent to look."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _run(*command, check=True):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done
