"""How soon images are there in the browser: medrelay's viewer beside OHIF, on the same relay over the same emulated lines, in one run.

Two CT studies of the same size lie in one relay. Each viewer is opened in a fresh Chromium at the far end of the line: once with
nothing in its cache (cold), then on the other study with the scripts in the cache and no data (warm). Then, without the line: frames
a second while scrolling, memory with many slices, and what dropping a folder of many files does to the page. README.md says more.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path.insert(0, str(HERE / "wan"))

from line import Line, available  # noqa: E402

OHIF_VERSION = "3.13.2"
PASSWORD = "sample-data-only-2026"
HTTPS, OHIF, DIMSE, HTTP = 8443, 8444, 11112, 8080


def say(text):
    print(text, file=sys.stderr, flush=True)


def ohif():
    """The folder of OHIF's built pages; fetched once by npm into target/bench."""
    folder = TOP / "target/bench/ohif"
    built = folder / "package/dist"
    if not built.is_dir():
        say(f"fetching @ohif/app {OHIF_VERSION} into {folder.relative_to(TOP)} (200 MB, once)")
        folder.mkdir(parents=True, exist_ok=True)
        # Its pages are built already; what it was built from need not be installed.
        packed = subprocess.run(["npm", "pack", "--silent", f"@ohif/app@{OHIF_VERSION}"], cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
        name = packed.stdout.strip().splitlines()[-1]
        subprocess.run(["tar", "xzf", name], cwd=folder, check=True)
        (folder / name).unlink()
    return built


class Relay:
    """A relay with sample data and two studies more, at the hospital's end of a line or without one."""

    def __init__(self, scratch, slices):
        self.scratch, self.slices = scratch, slices
        self.data = scratch / "data"
        self.config = scratch / "medrelay.toml"
        self.program = TOP / "target/release/medrelay"
        self.process = None

    def configure(self, address):
        self.config.write_text(
            f'[data]\ndir = "{self.data}"\n[http]\nplain_listen = "127.0.0.1:{HTTP}"\n'
            f'[https]\nlisten = "{address}:{HTTPS}"\nnames = ["{address}"]\n[link]\nlisten = "{address}:{HTTPS}"\n[dimse]\nlisten = "127.0.0.1:{DIMSE}"\n'
            "[log]\nfilter = \"warn\"\n"
        )

    def start(self, start):
        """`start` is what starts programs where the relay is to run."""
        log = open(self.scratch / "relay.log", "ab")
        self.process = start(self.program, "--config", self.config, "demo", stdout=log, stderr=log)
        ask = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{HTTP}/readyz', timeout=2)"
        for _ in range(600):
            if self.process.poll() is not None:
                raise RuntimeError(f"the relay ended; see {self.scratch}/relay.log")
            if (self.data / "sample-data-complete").exists() and start(sys.executable, "-c", ask, stderr=subprocess.DEVNULL).wait() == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("the relay did not become ready")

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def fill(self):
        """Sends the studies over DICOM, completes them, and gives their cases and UIDs."""
        self.configure("127.0.0.1")
        local = lambda *command, **options: subprocess.Popen([str(part) for part in command], **options)
        self.start(local)
        try:
            for number in range(2):
                folder = self.scratch / f"study{number}"
                subprocess.run(
                    [self.program, "phantom", "--modality", "CT", "--slices", str(self.slices), "--seed", str(7000 + number),
                     "--patient-id", f"BENCH{number}", "--accession", f"BENCH{number}", folder],
                    check=True, stdout=subprocess.DEVNULL,
                )
                subprocess.run(["storescu", "-aet", "CLINIC2CT", "-aec", "MEDRELAY", "+sd", "127.0.0.1", str(DIMSE), folder], check=True)
            token = self.call("POST", "/sessions", {"login": "tech2", "password": PASSWORD})["token"]
            studies = self.call("GET", "/studies?limit=100", token=token)["items"]
            ours = [one for one in studies if (one["accession"] or "").startswith("BENCH")]
            for one in ours:
                self.call("POST", f"/studies/{one['id']}/complete", {}, token)
            time.sleep(2)
            reader = self.call("POST", "/sessions", {"login": "verifier", "password": PASSWORD})["token"]
            cases = self.call("GET", "/cases?limit=100", token=reader)["items"]
            by_study = {one["case"]["study"]: one["case"]["id"] for one in cases}
            return [{"uid": one["uid"], "study": one["id"], "case": by_study[one["id"]]} for one in sorted(ours, key=lambda it: it["accession"])]
        finally:
            self.stop()

    def call(self, method, path, body=None, token=None):
        request = urllib.request.Request(f"http://127.0.0.1:{HTTP}/api/v1{path}", method=method)
        if token:
            request.add_header("authorization", f"Bearer {token}")
        data = None
        if body is not None:
            request.add_header("content-type", "application/json")
            data = json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


def browse(start, what, **settings):
    """Runs one measurement in Chromium (web/measure.mjs) and gives what it found."""
    command = ["node", HERE / "web/measure.mjs", what, json.dumps(settings)]
    process = start(*command, stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate(timeout=settings.get("limit", 120) + 120)
    if process.returncode != 0:
        return {"failed": f"{what} ended with {process.returncode}"}
    return json.loads(out.strip().splitlines()[-1])


def over_a_line(setting, relay, studies, pages, limit, only):
    rtt, loss, mbit = setting
    rows = {}
    for viewer in only:
        # Both ends have all of the machine's memory and processors: the line is what differs.
        with Line(rtt, loss, mbit) as line:
            relay.configure(Line.HOSPITAL)
            relay.start(line.hospital)
            front = None
            try:
                if viewer == "ohif":
                    front = line.hospital("node", HERE / "web/ohif.mjs", pages, Line.HOSPITAL, OHIF, HTTP, relay.scratch, PASSWORD, stdout=subprocess.PIPE)
                    line.wait_for_port(front, OHIF)
                rows[viewer] = browse(
                    line.clinic, "first", viewer=viewer, studies=studies, limit=limit, password=PASSWORD,
                    url=f"https://{Line.HOSPITAL}:{OHIF if viewer == 'ohif' else HTTPS}",
                )
            finally:
                if front:
                    front.kill()
                    front.wait()
                relay.stop()
        say(f"{setting_name(setting)} {viewer}: {rows[viewer]}")
    return rows


def setting_name(setting):
    return "/".join(f"{part:g}" for part in setting)


def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def print_lines(results, slices):
    print(f"\nFirst image of a CT of {slices} slices (round trip ms / loss % / Mbit/s)\n")
    print("| line | viewer | cold s | warm s | x ours, cold | x ours, warm | first load kB | of it scripts kB |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for setting, rows in results.items():
        own = rows.get("medrelay", {})
        for viewer, row in rows.items():
            if "failed" in row:
                print(f"| {setting} | {viewer} | {row['failed']} | | | | | |")
                continue
            ratio = lambda name: number(row[name] / own[name]) if own.get(name) and row.get(name) else "-"
            cells = [number(row["cold"]), number(row["warm"]), ratio("cold"), ratio("warm"), number(row["kB"], 0), number(row["scripts_kB"], 0)]
            print(f"| {setting} | {viewer} | " + " | ".join(cells) + " |")


def print_local(results):
    print("\nWithout a line\n")
    print("| what | medrelay | OHIF |")
    print("| --- | ---: | ---: |")
    names = [
        ("fps", "frames a second while scrolling through what is loaded", 0),
        ("slowest_ms", "longest frame while scrolling, ms", 0),
        ("memory_MB", "memory of the page's process with all slices, MB", 0),
        ("drop_cards_s", "folder dropped until its cards are there, s", 1),
        ("drop_longest_ms", "longest task meanwhile, ms", 0),
        ("drop_memory_MB", "memory of the page's process then, MB", 0),
    ]
    for name, text, digits in names:
        cells = [number(results.get(viewer, {}).get(name), digits) for viewer in ("medrelay", "ohif")]
        print(f"| {text} | " + " | ".join(cells) + " |")


def local(relay, studies, pages, slices, files, only):
    start = lambda *command, **options: subprocess.Popen([str(part) for part in command], **options)
    relay.configure("127.0.0.1")
    relay.start(start)
    results = {}
    try:
        for viewer in (one for one in only if one != "case"):
            url, front = f"https://127.0.0.1:{HTTPS}", None
            if viewer == "ohif":
                front = start("node", HERE / "web/ohif.mjs", pages, "127.0.0.1", OHIF, HTTP, relay.scratch, PASSWORD)
                url = f"https://127.0.0.1:{OHIF}"
                time.sleep(2)
            results[viewer] = browse(start, "scroll", viewer=viewer, url=url, studies=studies, slices=slices, password=PASSWORD, limit=240)
            if front:
                front.kill()
                front.wait()
            say(f"scrolling, {viewer}: {results[viewer]}")
        if "medrelay" in only and files:
            folder = relay.scratch / "drop"
            per_study = 500
            for number in range(files // per_study):
                subprocess.run(
                    [relay.program, "phantom", "--modality", "CT", "--slices", str(per_study), "--seed", str(9000 + number), folder / str(number)],
                    check=True, stdout=subprocess.DEVNULL,
                )
            results["medrelay"] |= browse(start, "drop", url=f"https://127.0.0.1:{HTTPS}", folder=str(folder), cards=files // per_study, password=PASSWORD, limit=240)
            say(f"drop: {results['medrelay']}")
    finally:
        relay.stop()
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", nargs="*", default=["10/0/30", "60/2/2"], help="round trip ms / loss %% / Mbit/s")
    parser.add_argument("--only", nargs="*", default=["medrelay", "case", "ohif"], choices=["medrelay", "case", "ohif"],
                        help="medrelay: the viewer in a window of its own; case: with the report and all else of the case around it")
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--scroll-slices", type=int, default=1000)
    parser.add_argument("--files", type=int, default=5000, help="files of the folder that is dropped; 0 leaves it out")
    parser.add_argument("--limit", type=int, default=180, help="seconds until a first image is given up")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()

    lacking = available() if asked.lines else None
    if lacking:
        sys.exit(f"the lines cannot be made here: {lacking}\n(--lines without a value measures what needs none)")
    if not (TOP / "target/release/medrelay").exists():
        sys.exit("target/release/medrelay is missing: run `make bench-web`")
    for name in ("chromium", "node", "storescu"):
        if shutil.which(name) is None:
            sys.exit(f"{name} is missing: run `sh tests/setup.sh bench`")

    pages = ohif() if "ohif" in asked.only else ""
    everything = {}
    with tempfile.TemporaryDirectory(prefix="medrelay-bench-web-") as scratch:
        relay = Relay(Path(scratch), asked.slices)
        studies = relay.fill()
        results = {}
        for text in asked.lines:
            setting = tuple(float(part) for part in text.split("/"))
            results[setting_name(setting)] = over_a_line(setting, relay, studies, pages, asked.limit, asked.only)
        everything["lines"] = results
        if results:
            print_lines(results, asked.slices)
    if asked.scroll_slices:
        with tempfile.TemporaryDirectory(prefix="medrelay-bench-web-") as scratch:
            relay = Relay(Path(scratch), asked.scroll_slices)
            studies = relay.fill()
            everything["local"] = local(relay, studies, pages, asked.scroll_slices, asked.files, asked.only)
            print_local(everything["local"])
    if asked.json:
        asked.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    os.environ["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"
    os.environ["NODE_NO_WARNINGS"] = "1"
    main()
