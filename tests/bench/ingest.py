"""How fast studies come in: medrelay beside Orthanc and DCMTK's storescp, in one run, with stock senders.

433 CT slices of 512 x 512 x 16 bit are sent by `storescu` over one association and by eight of them at once, to each receiver
in turn. All senders are the same and run in a plain environment; "tuned" receivers get TCP_NODELAY=1, which DCMTK and Orthanc
look at. medrelay runs as it is delivered: every instance is synced to disk and indexed before it is acknowledged.

Prints a Markdown table with instances a second, MB a second, and ratios. Ratios are what counts: they hold on any machine.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

AE_TITLE, SCANNER = "MEDRELAY", "CT1"
START_SECONDS = 60


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(process, port):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"a receiver ended at once with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("a receiver does not listen")


def program(name, package):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/bin")
    if path is None:
        sys.exit(f"{name} is not installed: install the Debian package {package}")
    return path


class Receiver:
    """A receiver on a free port, with its data in a folder of its own."""

    def __init__(self, name, folder, tuned):
        self.name, self.folder = name, Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.environment = dict(os.environ)
        self.environment.pop("TCP_NODELAY", None)
        if tuned:
            self.environment["TCP_NODELAY"] = "1"
        self.process = None

    def run(self, *command):
        self.process = subprocess.Popen(
            command, env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=open(self.folder / "log", "wb"), stderr=subprocess.STDOUT,
        )
        wait_for_port(self.process, self.port)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Storescp(Receiver):
    def start(self):
        (self.folder / "objects").mkdir()
        self.run(
            program("storescp", "dcmtk"), "-aet", AE_TITLE, "--fork", "+B", "-od", "objects", str(self.port)
        )

    def count(self):
        return sum(1 for _ in (self.folder / "objects").iterdir())


class Orthanc(Receiver):
    def start(self):
        self.http = free_port()
        settings = {
            "Name": "bench",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "DicomAet": AE_TITLE,
            "DicomPort": self.port,
            "HttpPort": self.http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": [],
        }
        (self.folder / "orthanc.json").write_text(json.dumps(settings))
        self.run(program("Orthanc", "orthanc"), "orthanc.json")

    def count(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/statistics") as answer:
            return json.load(answer)["CountInstances"]


class Medrelay(Receiver):
    def __init__(self, name, folder, binary):
        super().__init__(name, folder, tuned=False)
        self.binary = str(binary)

    def command(self, *arguments):
        subprocess.run(
            [self.binary, "--config", "medrelay.toml", *arguments],
            cwd=self.folder, check=True, stdout=subprocess.DEVNULL,
        )

    def start(self):
        self.http = free_port()
        (self.folder / "medrelay.toml").write_text(
            f'[data]\ndir = "{self.folder}/data"\n'
            f'[http]\nplain_listen = "127.0.0.1:{self.http}"\n[https]\nenabled = false\n'
            f'[dimse]\nlisten = "127.0.0.1:{self.port}"\n[log]\nfilter = "warn"\n'
        )
        self.command("org", "add", "--name", "Lead")
        self.command("clinic", "add", "--name", "Clinic", "--parent", "Lead", "--centre", "Lead")
        self.command("clinic", "device", "add", "--clinic", "Clinic", "--ae-title", SCANNER)
        self.run(self.binary, "--config", "medrelay.toml", "serve")

    def count(self):
        blobs = self.folder / "data" / "blobs"
        return sum(1 for shard in blobs.iterdir() if len(shard.name) == 2 for _ in shard.iterdir())


def send(port, folders):
    """One stock sender for each folder, all at once; answers the seconds that it took."""
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    begun = time.perf_counter()
    senders = [
        subprocess.Popen(
            [program("storescu", "dcmtk"), "-aet", SCANNER, "-aec", AE_TITLE, "+sd", "127.0.0.1", str(port), str(folder)],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for folder in folders
    ]
    said = [sender.communicate()[0] for sender in senders]
    seconds = time.perf_counter() - begun
    for sender, output in zip(senders, said):
        if sender.returncode != 0:
            sys.exit(f"storescu failed: {output.decode(errors='replace')[-2000:]}")
    return seconds


def phantom(binary, folder, slices, side, seed):
    subprocess.run(
        [str(binary), "phantom", "--modality", "CT", "--slices", str(slices), "--rows", str(side),
         "--columns", str(side), "--seed", str(seed), str(folder)],
        check=True, stdout=subprocess.DEVNULL,
    )
    return folder


def split(folder, target, parts):
    """The same files dealt out to `parts` folders, by hard links."""
    folders = []
    for part in range(parts):
        (target / str(part)).mkdir(parents=True)
        folders.append(target / str(part))
    for index, path in enumerate(sorted(folder.iterdir())):
        os.link(path, folders[index % parts] / path.name)
    return folders


def measure(receiver, runs, parts, expected):
    """Median seconds of several runs. Every run sends a study that the receiver has not seen."""
    seconds = []
    for folder in runs:
        folders = [folder] if parts == 1 else split(folder, folder.parent / f"{folder.name}-{receiver.name}-{parts}", parts)
        before = receiver.count()
        seconds.append(send(receiver.port, folders))
        after = receiver.count()
        if after - before != expected:
            sys.exit(f"{receiver.name} has {after - before} of {expected} instances")
    return statistics.median(seconds)


def preindex(receiver, binary, scratch, instances, batch=5_000):
    """Fills the index with tiny instances, over eight associations."""
    done = 0
    while done < instances:
        now = min(batch, instances - done)
        folder = phantom(binary, scratch / f"tiny-{done}", now, 8, 900_000 + done)
        send(receiver.port, split(folder, scratch / f"tiny-{done}-parts", 8))
        shutil.rmtree(folder)
        shutil.rmtree(scratch / f"tiny-{done}-parts")
        done += now
        print(f"  {done} of {instances} indexed", file=sys.stderr)


def main():
    here = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=here / "target/release/medrelay")
    parser.add_argument("--slices", type=int, default=433)
    parser.add_argument("--runs", type=int, default=3, help="the median of so many is shown")
    parser.add_argument("--preindex", type=int, default=20_000, help="instances before the second look at medrelay; 0: none")
    parser.add_argument("--folder", type=Path, default=None, help="where the receivers write; a disk, not a memory file system")
    parser.add_argument("--only", default="", help="comma-separated: storescp, orthanc, medrelay")
    options = parser.parse_args()
    if not options.binary.is_file():
        sys.exit(f"{options.binary} is missing: run `cargo build --release -p medrelay`")
    scratch = Path(tempfile.mkdtemp(prefix="medrelay-bench-", dir=options.folder))
    try:
        bench(options, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def bench(options, scratch):
    binary = options.binary.resolve()
    (scratch / "send").mkdir()
    # A study for every run over one association, and for every run over eight.
    studies = {
        parts: [
            phantom(binary, scratch / "send" / f"{parts}-{run}", options.slices, 512, 100 * parts + run)
            for run in range(options.runs)
        ]
        for parts in (1, 8)
    }
    megabytes = sum(path.stat().st_size for path in studies[1][0].iterdir()) / 1e6
    receivers = [
        Storescp("storescp", scratch / "storescp", tuned=False),
        Storescp("storescp-tuned", scratch / "storescp-tuned", tuned=True),
        Orthanc("orthanc", scratch / "orthanc", tuned=False),
        Orthanc("orthanc-tuned", scratch / "orthanc-tuned", tuned=True),
        Medrelay("medrelay", scratch / "medrelay", binary),
    ]
    wanted = [name for name in options.only.split(",") if name]
    receivers = [it for it in receivers if not wanted or it.name.split("-")[0] in wanted]
    rates, flat = {}, None
    for receiver in receivers:
        receiver.start()
        try:
            for parts in (1, 8):
                # Without TCP_NODELAY twenty a second is all that comes: once is enough to see that.
                slow = not receiver.name.endswith("-tuned") and receiver.name != "medrelay"
                runs = studies[parts][:1] if slow else studies[parts]
                seconds = measure(receiver, runs, parts, options.slices)
                rates[receiver.name, parts] = options.slices / seconds
                print(f"  {receiver.name}, {parts}: {seconds:.2f} s", file=sys.stderr)
            if receiver.name == "medrelay" and options.preindex:
                preindex(receiver, binary, scratch, options.preindex)
                fresh = [
                    phantom(binary, scratch / "send" / f"flat-{run}", options.slices, 512, 5_000 + run)
                    for run in range(options.runs)
                ]
                flat = options.slices / measure(receiver, fresh, 1, options.slices)
        finally:
            receiver.stop()
    show(options, receivers, rates, flat, megabytes / options.slices)


def show(options, receivers, rates, flat, megabytes):
    def ratio(name, parts, anchor):
        base = rates.get((anchor, parts))
        return "-" if base is None else f"{rates[name, parts] / base:.2f}"

    print(f"\n{options.slices} CT slices of 512 x 512 x 16 bit ({megabytes:.3f} MB each), storescu, median of {options.runs}\n")
    print("| receiver | associations | instances/s | MB/s | x tuned Orthanc | x tuned storescp |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for parts in (1, 8):
        for receiver in receivers:
            rate = rates[receiver.name, parts]
            print(
                f"| {receiver.name} | {parts} | {rate:.0f} | {rate * megabytes:.0f} "
                f"| {ratio(receiver.name, parts, 'orthanc-tuned')} | {ratio(receiver.name, parts, 'storescp-tuned')} |"
            )
    if flat is not None:
        first = rates["medrelay", 1]
        print(f"\nmedrelay with {options.preindex} instances more in the index: {flat:.0f} instances/s, {flat / first:.2f} of the rate before")


main()
