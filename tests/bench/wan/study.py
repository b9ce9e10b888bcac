"""The study that is sent: slices of a real one where there is one, else a phantom."""

import re
import shutil
import struct
import subprocess
from pathlib import Path

PREAMBLE = 132
UI_HEADER = struct.Struct("<HH2sH")
SOP_INSTANCE, SERIES_INSTANCE = (0x0008, 0x0018), (0x0020, 0x000E)
INSTANCE_NUMBER = (0x0020, 0x0013)
# What a UID of a copy ends with: never a zero in front, which a component must not have.
DIGITS = 6
VALID_UID = re.compile(rb"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def make(source, slices, target, medrelay):
    """Writes a study of so many slices to the folder `target`; answers what it is, in a few words."""
    if source is None:
        subprocess.run(
            [str(medrelay), "phantom", "--modality", "CT", "--slices", str(slices), "--seed", "1", str(target)],
            check=True, stdout=subprocess.DEVNULL,
        )
        return "a phantom"
    target.mkdir(parents=True)
    files = sorted((path for path in Path(source).rglob("*") if is_dicom(path)), key=instance_number)
    if not files:
        raise SystemExit(f"{source} holds no DICOM files")
    for number in range(slices):
        path, turn = files[number % len(files)], number // len(files)
        copy(path, target / f"{number:04}.dcm", turn)
    again = "" if slices <= len(files) else f", its {len(files)} slices sent as {-(-slices // len(files))} series"
    return f"{Path(source).name}{again}"


def is_dicom(path):
    if not path.is_file():
        return False
    with path.open("rb") as it:
        return it.read(PREAMBLE)[-4:] == b"DICM"


def value(content, tag):
    """The value of the first element of this tag with a short length, as explicit little endian writes it."""
    for kind in (b"UI", b"IS"):
        begin = content.find(UI_HEADER.pack(*tag, kind, 0)[:6], PREAMBLE)
        if begin >= 0:
            length = UI_HEADER.unpack_from(content, begin)[3]
            return content[begin + UI_HEADER.size : begin + UI_HEADER.size + length].rstrip(b"\0 ")
    return None


def instance_number(path):
    number = value(path.read_bytes(), INSTANCE_NUMBER)
    return (int(number) if number else 0, path.name)


def copy(path, target, turn):
    """The file as it is, or as the same slice of a further series: other UIDs of the same length."""
    if turn == 0:
        shutil.copyfile(path, target)
        return
    content = path.read_bytes()
    for tag in (SOP_INSTANCE, SERIES_INSTANCE):
        uid = value(content, tag)
        if uid is None:
            raise SystemExit(f"{path} has too few slices beside it, and is not written in explicit little endian")
        other = uid[:-DIGITS] + b"9%0*d" % (DIGITS - 1, (int(uid[-DIGITS + 1 :].replace(b".", b"")) + turn) % 10 ** (DIGITS - 1))
        if not VALID_UID.fullmatch(other) or other == uid:
            raise SystemExit(f"{path} has a UID that cannot be told apart by its end")
        content = content.replace(uid, other)
    target.write_bytes(content)
