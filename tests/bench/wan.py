"""How long a study takes over a clinic's line: C-STORE, STOW-RS and medrelay over four emulated lines, in one run.

Every way sends the same CT slices to a server of its own over a line of its own (wan/line.py), with a small UDP probe beside it.
Prints a table for each line: seconds until all is safe at the other end, bytes that entered the line, the share of them that was
sent again, what the queue did to the probe, and how much of the line was used. README.md says what the columns mean.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "wan"))

import study  # noqa: E402
from cuts import Cutter  # noqa: E402
from line import Line, available, congestion_controls  # noqa: E402
from ways import DEFAULT, NAMES, TCP, WAYS, Ours  # noqa: E402

HERE = Path(__file__).resolve().parents[2]
# How long the probe runs alone before the study is sent: what it measures then is its own.
IDLE_SECONDS = 2.0
SAMPLE_SECONDS = 0.05
PROBE_PACKET_BYTES = 136
SEGMENT_BYTES = 1500


@dataclass(frozen=True)
class Goal:
    seconds: float | None
    twice_percent: float
    queue_ms: float
    used_percent: float = 92


@dataclass(frozen=True)
class Setting:
    """A line, how many slices go over it, and what ours must reach there."""

    rtt_ms: float
    loss: float
    mbit: float
    slices: int
    goal: Goal

    @property
    def name(self):
        return f"{self.rtt_ms:g}/{self.loss:g}/{self.mbit:g}"


SETTINGS = [
    Setting(30, 0, 100, 100, Goal(seconds=2, twice_percent=3, queue_ms=15)),
    Setting(60, 1, 20, 100, Goal(seconds=8, twice_percent=3, queue_ms=30)),
    Setting(120, 2, 8, 100, Goal(seconds=17, twice_percent=5, queue_ms=60)),
    Setting(150, 3, 1, 20, Goal(seconds=None, twice_percent=5, queue_ms=75)),
]


class Sampler(threading.Thread):
    """Looks at the line's counters and at the sender's memory again and again."""

    def __init__(self, line):
        super().__init__(daemon=True)
        self.line, self.samples, self.ended = line, [], threading.Event()
        self.process, self.memory_mb = None, 0

    def watch(self, process):
        """Begins, with the process that sends."""
        self.process = process
        self.start()

    def run(self):
        while not self.ended.wait(SAMPLE_SECONDS):
            self.memory_mb = max(self.memory_mb, peak_memory(self.process))
            stats = self.line.stats()
            self.samples.append((stats["now_us"] / 1e6, stats["to_hospital"]["carried_bytes"]))

    def stop(self):
        self.ended.set()
        self.join()

    def used(self, mbit):
        """Share of the line between the moments when 1 % and 99 % of the bytes had arrived; None when that was too short to tell."""
        if len(self.samples) < 2 or not mbit:
            return None
        first, last = self.samples[0][1], self.samples[-1][1]
        low, high = first + 0.01 * (last - first), first + 0.99 * (last - first)
        inside = [(at, count) for at, count in self.samples if low <= count <= high]
        if len(inside) < 3:
            return None
        (begin, before), (end, after) = inside[0], inside[-1]
        return (after - before) * 8 / 1e6 / (end - begin) / mbit


def peak_memory(process):
    """The most memory that a process has had so far, in MB; 0 when it has ended."""
    try:
        rows = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) / 1000 for row in rows if row.startswith("VmHWM:")), 0)


def measure(setting, way, tcp, source, scratch, limit, seed, cuts):
    """One row of the table, as a dictionary."""
    with Line(setting.rtt_ms, setting.loss, setting.mbit, tcp=tcp, seed=seed) as line:
        it = WAYS[way](line, scratch, source)
        it.prepare()
        sampler, cutter, tcp_before = Sampler(line), Cutter(line, cuts, seed), line.tcp_counters()
        with line.probe() as probe:
            idle = time.monotonic()
            time.sleep(IDLE_SECONDS)
            if not it.udp:
                line.block_udp()
            before = line.stats()["to_hospital"]
            begin = time.monotonic()
            sender = it.send()
            sampler.watch(sender)
            cutter.start()
            try:
                code = sender.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
                sender.kill()
            end = time.monotonic()
            cutter.stop()
            after = line.stats()["to_hospital"]
            sampler.stop()
        sender.wait()
        arrived, summary = it.arrived(), it.summary() if code is not None else {}
        if code not in (0, None):
            errors = (scratch / "errors.log").read_text(errors="replace")
            sys.exit(f"{NAMES[way]} over {setting.name} ended with {code}: {(it.output() + errors)[-2000:]}")
        if code == 0 and arrived != setting.slices:
            sys.exit(f"{NAMES[way]} over {setting.name}: {arrived} of {setting.slices} instances arrived")
        delay = probe.queue_delay(begin, end, (idle, begin))
        tcp_after = line.tcp_counters()
    probes = delay["sent"] * PROBE_PACKET_BYTES if delay else 0
    counted = {name: after[name] - before[name] for name in after if not name.endswith(("_mean_us", "_max_us"))}
    wire = counted["entered_bytes"] - probes
    return {
        "line": setting.name, "way": way, "tcp": tcp, "seed": seed,
        "seconds": end - begin, "finished": code == 0, "arrived": arrived,
        "wire_bytes": wire,
        "twice": twice(way, wire, tcp_before, tcp_after, summary),
        "queue_ms": delay and delay["mean_ms"], "queue_p95_ms": delay and delay["p95_ms"], "probe": delay,
        "line_queue_ms": counted["queue_sum_us"] / 1000 / max(1, counted["queued_packets"]),
        "used": sampler.used(setting.mbit), "sender_memory_mb": sampler.memory_mb,
        "lost_packets": counted["lost_packets"], "overflowed_packets": counted["overflowed_packets"],
        "returns_after_cuts": cutter.returns, "summary": summary,
    }


def twice(way, wire, tcp_before, tcp_after, summary):
    """Bytes that were sent again, as a share of those that were sent once."""
    if way != "ours" or summary.get("carrier") == "websocket":
        again = (tcp_after["RetransSegs"] - tcp_before["RetransSegs"]) * SEGMENT_BYTES
        return again / max(1, wire - again)
    if summary.get("sent_bytes") and "lost_bytes" in summary:
        return summary["lost_bytes"] / max(1, summary["sent_bytes"] - summary["lost_bytes"])
    if summary.get("pack_bytes"):
        # An upper bound: headers and acknowledgements count as if they were repeated.
        return max(0, wire - summary["pack_bytes"]) / summary["pack_bytes"]
    return None


def show(setting, rows, source, megabytes):
    """The table of one line."""
    goal, ours = setting.goal, next((row for row in rows if row["way"] == "ours"), None)
    bare = f"{megabytes * 8 / setting.mbit:.1f} s" if setting.mbit else "no time"
    print(f"\n### {setting.rtt_ms:g} ms, {setting.loss:g} % loss, {setting.mbit:g} Mbit/s\n")
    print(f"{setting.slices} CT slices, {megabytes:.1f} MB ({source}); their bytes alone fill the line for {bare}.\n")
    print("| way | seconds to committed | x ours | MB on the wire | sent twice | queue delay, mean | 95th | line used |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        name = NAMES["ours"] if row["way"] == "ours" else f"{NAMES[row['way']]}, TCP {row['tcp'].upper()}"
        seconds = f"{row['seconds']:.1f}" if row["finished"] else f"> {row['seconds']:.0f} ({row['arrived']} arrived)"
        ratio = f"{row['seconds'] / ours['seconds']:.1f}" if ours and ours["finished"] else "-"
        cells = [
            name, seconds, ratio if row["finished"] or ratio == "-" else f"> {ratio}", f"{row['wire_bytes'] / 1e6:.1f}",
            percent(row["twice"]), milliseconds(row["queue_ms"]), milliseconds(row["queue_p95_ms"]), percent(row["used"]),
        ]
        print(f"| {' | '.join(cells)} |")
        if row["returns_after_cuts"]:
            print(f"| {after_cuts(row['returns_after_cuts'])} | | | | | | | |")
    seconds = f"≤ {goal.seconds:g}" if goal.seconds else "-"
    print(f"| goal for medrelay | {seconds} | | | ≤ {goal.twice_percent:g} % | ≤ {goal.queue_ms:g} ms | | ≥ {goal.used_percent:g} % |")
    if ours:
        print(f"\nGoals: {'; '.join(verdicts(goal, ours))}. The gateway took {ours['sender_memory_mb']:.0f} MB of memory at most.")
    sys.stdout.flush()


def after_cuts(returns):
    """How soon the study moved again after each cut, in words."""
    known = sorted(it for it in returns if it is not None)
    slowest = f"moving again after {known[len(known) // 2]:.2f} s in the middle, {known[-1]:.2f} s at most" if known else "never moving again"
    silent = len(returns) - len(known)
    return f"… {len(returns)} cuts, {slowest}{f', {silent} without an answer' if silent else ''}"


def verdicts(goal, ours):
    """Which goals are met, in words."""

    def said(name, value, met):
        return f"{name} not measured" if value is None else f"{name} {'met' if met(value) else 'MISSED'}"

    seconds = ours["seconds"] if ours["finished"] else float("inf")
    return [
        *([said("seconds", seconds, lambda it: it <= goal.seconds)] if goal.seconds else []),
        said("sent twice", ours["twice"], lambda it: it * 100 <= goal.twice_percent),
        said("queue delay", ours["queue_ms"], lambda it: it <= goal.queue_ms),
        said("line used", ours["used"], lambda it: it * 100 >= goal.used_percent),
    ]


def percent(share):
    return "-" if share is None else f"{share * 100:.1f} %"


def milliseconds(value):
    return "-" if value is None else f"{value:.1f} ms"


def arguments():
    beside = HERE.parent / "shared/data/ct-head"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", default="", help="comma-separated, as RTT/LOSS/MBIT; all four without it")
    parser.add_argument("--only", default="", help=f"comma-separated: {', '.join(WAYS)}; without it {', '.join(DEFAULT)}")
    parser.add_argument("--tcp", default="", help="comma-separated, for the anchors: cubic, bbr")
    parser.add_argument("--study", type=Path, default=beside if beside.is_dir() else None,
                        help="folder of a CT in explicit little endian; without it one beside the project, or a phantom")
    parser.add_argument("--phantom", action="store_true", help="a phantom whatever lies beside the project")
    parser.add_argument("--limit", type=float, default=300, help="seconds after which a way is given up")
    parser.add_argument("--runs", type=int, default=1, help="ours so often on each line, with other losses; the median is shown")
    parser.add_argument("--seed", type=int, default=1, help="which packets are lost")
    parser.add_argument("--cuts", type=int, default=0, help="takes the line down so often at random moments of each transfer")
    parser.add_argument("--slices", type=int, help="so many slices over every line")
    parser.add_argument("--json", type=Path, help="file for every figure")
    parser.add_argument("--folder", type=Path, help="where the servers write; a disk, not a memory file system")
    parser.add_argument("--medrelay", type=Path, default=HERE / "target/release/medrelay")
    parser.add_argument("--gateway", type=Path, default=HERE / "target/release/medrelay-gateway")
    options = parser.parse_args()
    options.settings = [it for it in SETTINGS if not options.lines or it.name in options.lines.split(",")]
    if options.slices:
        options.settings = [replace(it, slices=options.slices, goal=replace(it.goal, seconds=None)) for it in options.settings]
    if unknown := set(filter(None, options.lines.split(","))) - {it.name for it in SETTINGS}:
        parser.error(f"no such line: {', '.join(unknown)}; there are {', '.join(it.name for it in SETTINGS)}")
    options.ways = [it for it in WAYS if it in (options.only.split(",") if options.only else DEFAULT)]
    if options.phantom:
        options.study = None
    return options


def main():
    options = arguments()
    if lack := available():
        sys.exit(f"The lines cannot be made here: {lack}.")
    needed = [options.medrelay] * ("ours" in options.ways or options.study is None) + [options.gateway] * ("ours" in options.ways)
    for binary in needed:
        if not binary.is_file():
            sys.exit(f"{binary} is missing: run `make bench-wan`, which builds it")
    Ours.medrelay, Ours.gateway = str(options.medrelay.resolve()), str(options.gateway.resolve())
    # Ends by the way of an exception, so that nothing is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    scratch = Path(tempfile.mkdtemp(prefix="medrelay-bench-", dir=options.folder))
    try:
        bench(options, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def bench(options, scratch):
    everything, studies = [], {}
    for setting in options.settings:
        if setting.slices not in studies:
            folder = scratch / f"study-{setting.slices}"
            said = study.make(options.study, setting.slices, folder, options.medrelay)
            studies[setting.slices] = (folder, said, sum(path.stat().st_size for path in folder.iterdir()) / 1e6)
        folder, said, megabytes = studies[setting.slices]
        rows = []
        for way in options.ways:
            for tcp in TCP[way]:
                if options.tcp and way != "ours" and tcp not in options.tcp.split(","):
                    continue
                if tcp not in congestion_controls():
                    print(f"{NAMES[way]} over {tcp}: left out, this kernel has no TCP {tcp}", file=sys.stderr)
                    continue
                runs = []
                for run in range(options.runs if way == "ours" else 1):
                    place = scratch / f"{setting.name.replace('/', '-')}-{way}-{tcp}-{run}"
                    row = measure(setting, way, tcp, folder, place, options.limit, options.seed + run, options.cuts)
                    shutil.rmtree(place, ignore_errors=True)
                    print(f"  {setting.name} {way} {tcp}: {row['seconds']:.1f} s{'' if row['finished'] else ', given up'}", file=sys.stderr)
                    runs.append(row)
                everything += runs
                rows.append(sorted(runs, key=lambda row: row["seconds"])[len(runs) // 2])
                if options.json:
                    options.json.write_text(json.dumps(everything, indent=1) + "\n")
        show(setting, rows, said, megabytes)


if __name__ == "__main__":
    main()
