"""Sends every DICOM file that comes with pydicom to a C-STORE provider, as it is, and prints one JSON line for each.

Arguments: calling AE title, called AE title, port, UID of a private storage SOP class to send an object of; and `more` for the
files of pydicom-data, too.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, _config

# The bytes of the file are sent, not an encoding of what was understood of them.
_config.STORE_SEND_CHUNKED_DATASET = True
_config.UNRESTRICTED_STORAGE_SERVICE = True

# Files that no archive can file, and what is wrong with them. A provider that keeps them nevertheless may.
NO_STUDY = "it has no Study Instance UID"
NO_CLASS = "its data set has no SOP Class UID"
OTHER_UID = "its meta information names another instance than its data set"
NO_UID = "its SOP Instance UID is a hexadecimal hash, not a UID"
CUT = "it ends inside a value"
BROKEN = {
    "JPEGLSNearLossless_08.dcm": NO_STUDY,
    "JPEGLSNearLossless_16.dcm": NO_STUDY,
    "SC_rgb_jls_lossy_line.dcm": NO_STUDY,
    "SC_rgb_jls_lossy_sample.dcm": NO_STUDY,
    "UN_sequence.dcm": NO_CLASS,
    "priv_SQ.dcm": NO_CLASS,
    "nested_priv_SQ.dcm": NO_CLASS,
    "no_meta_group_length.dcm": "its meta information has no length, so a sender cannot tell where the data set begins",
    "badVR.dcm": OTHER_UID,
    "rtdose.dcm": OTHER_UID,
    "rtdose_1frame.dcm": OTHER_UID,
    "rtdose_expb.dcm": OTHER_UID,
    "rtdose_expb_1frame.dcm": OTHER_UID,
    "rtplan.dcm": OTHER_UID,
    "bad_sequence.dcm": NO_UID,
    "MR_truncated.dcm": CUT,
    "rtplan_truncated.dcm": CUT,
    "emri_small_jpeg_2k_lossless_too_short.dcm": CUT,
    "SC_rgb_jpeg.dcm": "its data set is in implicit VR, which the JPEG transfer syntaxes do not have",
}


def data_set(path):
    """The bytes after the file meta information, and the meta information itself."""
    with open(path, "rb") as file:
        meta = pydicom.filereader.read_file_meta_info(path)
        file.seek(128)
        if file.read(4) != b"DICM":
            return None, None
        # Group 0002 is explicit little endian and its first element tells how long the rest is.
        file.seek(128 + 4 + 8)
        length = int.from_bytes(file.read(4), "little")
        file.seek(128 + 4 + 12 + length)
        return meta, file.read()


def files(more):
    folders = [Path(get_testdata_file("CT_small.dcm", download=False)).parent]
    if more:
        import data_store

        folders.append(Path(data_store.__file__).parent / "data")
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if not path.is_file() or path.suffix in {".py", ".txt", ".zip", ".json", ".jpg", ".md"}:
            continue
        try:
            meta, body = data_set(path)
            if meta is None or "MediaStorageSOPInstanceUID" not in meta or "TransferSyntaxUID" not in meta:
                continue
            if meta.MediaStorageSOPClassUID == "1.2.840.10008.1.3.10":
                continue
            yield path, meta, body
        except Exception:
            continue


def variant(folder, name, change):
    """A file of our own: a small CT, changed."""
    ds = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    change(ds)
    path = Path(folder) / name
    ds.save_as(path)
    meta, body = data_set(path)
    return path, meta, body


def private(ds, sop_class):
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class


def deflated(ds):
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


def send(calling, called, port, path, meta, body):
    ae = AE(calling)
    ae.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    line = {
        "file": path.name,
        "sop_class": meta.MediaStorageSOPClassUID,
        "sop_instance": meta.MediaStorageSOPInstanceUID,
        "transfer_syntax": meta.TransferSyntaxUID,
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    if path.name in BROKEN:
        line["expected_refusal"] = BROKEN[path.name]
    association = ae.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        line["status"] = -1
        return line
    try:
        if not association.accepted_contexts:
            line["status"] = -2
            return line
        status = association.send_c_store(path)
        line["status"] = status.Status if "Status" in status else -3
        line["comment"] = str(status.get("ErrorComment", ""))
    except Exception as error:
        line["status"] = -4
        line["comment"] = repr(error)
    finally:
        association.release()
    return line


def main():
    calling, called, port, sop_class = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as folder:
        everything = list(files("more" in sys.argv[5:]))
        everything.append(variant(folder, "private.dcm", lambda ds: private(ds, sop_class)))
        everything.append(variant(folder, "deflated.dcm", deflated))
        for path, meta, body in everything:
            print(json.dumps(send(calling, called, int(port), path, meta, body)))


main()
