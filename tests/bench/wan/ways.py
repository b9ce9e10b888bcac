"""The ways of sending a study: the programs at both ends, and how one tells that all has arrived."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from line import Line

AE_TITLE = "HOSPITAL"
DICOM_PORT, HTTP_PORT, LINK_PORT = 11112, 8042, 8443
DICOMWEB_PLUGINS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc", "/usr/local/share/orthanc/plugins")
BOUNDARY = "a-study-in-one-piece"


def program(name, package):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/bin")
    if path is None:
        sys.exit(f"{name} is not installed: install the Debian package {package}")
    return path


class Way:
    """One way: a server at the hospital, then one command at the clinic that ends when all has arrived."""

    # Whether UDP passes, as it does on most lines.
    udp = True
    # On top of the environment of whoever runs this, at both ends.
    environment = {}

    def __init__(self, line, folder, study):
        self.line, self.folder, self.study = line, folder, study
        self.server = None
        self.variables = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"} | self.environment
        folder.mkdir(parents=True)

    def serve(self, port, *command):
        self.server = self.line.hospital(
            *command, cwd=self.folder, env=self.variables,
            stdout=open(self.folder / "server.log", "wb"), stderr=subprocess.STDOUT,
        )
        self.line.wait_for_port(self.server, port)

    def output(self):
        """What the sender has printed."""
        return (self.folder / "sender.log").read_text(errors="replace")

    def send(self):
        """Starts the sender."""
        return self.line.clinic(
            *self.sender(), cwd=self.folder, env=self.variables,
            stdout=open(self.folder / "sender.log", "wb"), stderr=open(self.folder / "errors.log", "wb"),
        )

    def summary(self):
        """What the sender itself says about what it sent; empty where it says nothing."""
        return {}


class CStore(Way):
    """Stock DCMTK at both ends, as Debian delivers it."""

    def prepare(self):
        (self.folder / "objects").mkdir()
        self.serve(
            DICOM_PORT, program("storescp", "dcmtk"), "-aet", AE_TITLE, "+B", "-od", "objects", str(DICOM_PORT)
        )

    def sender(self):
        return [
            program("dcmsend", "dcmtk"), "-aec", AE_TITLE, "--scan-directories", Line.HOSPITAL, DICOM_PORT, self.study,
        ]

    def arrived(self):
        return sum(1 for _ in (self.folder / "objects").iterdir())


class CStoreTuned(CStore):
    """The same with the one setting that helps DCMTK most."""

    environment = {"TCP_NODELAY": "1"}


class Stow(Way):
    """One STOW-RS request with the whole study, to Orthanc."""

    def prepare(self):
        self.body = self.folder / "body"
        with self.body.open("wb") as body:
            for path in sorted(self.study.iterdir()):
                body.write(f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode())
                body.write(path.read_bytes() + b"\r\n")
            body.write(f"--{BOUNDARY}--\r\n".encode())
        plugin = next(
            (it for it in (Path(place) / "libOrthancDicomWeb.so" for place in DICOMWEB_PLUGINS) if it.exists()), None
        )
        if plugin is None:
            sys.exit("Orthanc's DICOMweb plugin is not installed: install the Debian package orthanc-dicomweb")
        settings = {
            "Name": "bench",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "DicomServerEnabled": False,
            "HttpPort": HTTP_PORT,
            "RemoteAccessAllowed": True,
            "AuthenticationEnabled": False,
            "Plugins": [str(plugin)],
        }
        (self.folder / "orthanc.json").write_text(json.dumps(settings))
        self.serve(HTTP_PORT, program("Orthanc", "orthanc"), "orthanc.json")

    def sender(self):
        return [
            program("curl", "curl"), "--silent", "--show-error", "--fail", "--request", "POST",
            "--header", f'Content-Type: multipart/related; type="application/dicom"; boundary={BOUNDARY}',
            "--header", "Accept: application/dicom+json", "--header", "Expect:", "--upload-file", self.body,
            f"http://{Line.HOSPITAL}:{HTTP_PORT}/dicom-web/studies",
        ]

    def arrived(self):
        ask = ["curl", "--silent", "--fail", f"http://{Line.HOSPITAL}:{HTTP_PORT}/statistics"]
        # At the hospital itself, so that it is not counted on the line.
        told = self.line.hospital(*ask, stdout=subprocess.PIPE).communicate()[0]
        return json.loads(told)["CountInstances"] if told else 0


class Ours(Way):
    """medrelay at the hospital, medrelay-gateway at the clinic, as they are delivered."""

    medrelay = gateway = None

    def prepare(self):
        (self.folder / "medrelay.toml").write_text(
            f'[data]\ndir = "{self.folder}/data"\n'
            '[http]\nplain_listen = "127.0.0.1:8080"\n'
            f'[https]\nlisten = "{Line.HOSPITAL}:{LINK_PORT}"\nnames = ["{Line.HOSPITAL}"]\n'
            '[dimse]\nenabled = false\n[log]\nfilter = "warn"\n'
        )
        self.administer("org", "add", "--name", "Lead")
        self.administer("clinic", "add", "--name", "Clinic", "--parent", "Lead", "--centre", "Lead")
        self.serve(LINK_PORT, self.medrelay, "--config", "medrelay.toml", "serve")
        code = json.loads(self.administer("clinic", "join-code", "--clinic", "Clinic", "--json"))["code"]
        # Without the self-test, whose test image would be in the figures.
        self.gateway_says("join", "--no-test", f"https://{Line.HOSPITAL}:{LINK_PORT}", code)

    def administer(self, *arguments):
        return subprocess.run(
            [self.medrelay, "--config", "medrelay.toml", *arguments], cwd=self.folder, check=True, text=True, stdout=subprocess.PIPE
        ).stdout

    def gateway_command(self, *arguments):
        return [self.gateway, "--data", self.folder / "gateway", *arguments]

    def gateway_says(self, *arguments):
        process = self.line.clinic(*self.gateway_command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = process.communicate()[0]
        if process.returncode != 0:
            sys.exit(f"medrelay-gateway {arguments[0]} ended with {process.returncode}: {said}")
        return said

    def sender(self):
        return self.gateway_command("send", self.study, "--json")

    def summary(self):
        for row in reversed(self.output().splitlines()):
            if row.startswith("{"):
                return json.loads(row)
        return {}

    def arrived(self):
        # "committed" is the relay's word for: read back from its disk and equal.
        summary = self.summary()
        return summary.get("instances", 0) if summary.get("committed") else 0


class OursBlocked(Ours):
    """The same where UDP vanishes: over the WebSocket."""

    udp = False


WAYS = {"cstore": CStore, "cstore-tuned": CStoreTuned, "stow": Stow, "ours": Ours, "ours-blocked": OursBlocked}
DEFAULT = ("cstore", "stow", "ours")
NAMES = {"cstore": "C-STORE", "cstore-tuned": "C-STORE tuned", "stow": "STOW-RS", "ours": "medrelay", "ours-blocked": "medrelay, UDP blocked"}
# What runs over TCP is tried over both that kernels offer; QUIC brings its own.
TCP = dict.fromkeys(WAYS, ("cubic", "bbr")) | {"ours": ("cubic",)}
