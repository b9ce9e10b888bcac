"""Sends the DICOM files that come with pydicom to a relay, then asks for them with dicomweb-client and compares what comes
back with what pydicom itself decodes. Prints one JSON line for each file.

Arguments: calling AE title, called AE title, port; base address of DICOMweb, bearer token.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

import numpy
import pydicom
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from pydicom.pixels import pixel_array
from pydicom.uid import generate_uid
from pynetdicom import AE, _config

warnings.simplefilter("ignore")
_config.STORE_SEND_CHUNKED_DATASET = True
_config.UNRESTRICTED_STORAGE_SERVICE = True

LITTLE = "1.2.840.10008.1.2.1"
JPEG_LS = "1.2.840.10008.1.2.4.80"
LOSSY_JPEG = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
JPEG_2000 = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"}
# What the decoders of pydicom and ours may differ by in one sample: rounding, and how chrominances are spread.
ROUNDING = 2
CHROMINANCE = 24
# Files whose pixels nobody can be expected to agree on, and why.
APART = {
    "J2K_pixelrep_mismatch.dcm": "its header says signed, its stream does not",
    "MR_truncated.dcm": "it ends inside its pixels",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "it ends inside its pixels",
    "SC_rgb_small_odd_jpeg.dcm": "its stream is RGB, its header says YBR",
    "SC_jpeg_no_color_transform.dcm": "its stream is RGB, its header says YBR",
    "SC_jpeg_no_color_transform_2.dcm": "its stream is RGB, its header says YBR",
}


def files():
    import data_store

    folders = [Path(get_testdata_file("CT_small.dcm", download=False)).parent]
    folders.append(Path(data_store.__file__).parent / "data")
    for path in sorted(path for folder in folders for path in folder.glob("*.dcm")):
        try:
            ds = pydicom.dcmread(path)
            if "TransferSyntaxUID" in ds.file_meta and "SOPClassUID" in ds and "PixelData" in ds:
                yield path.name, ds
        except Exception:
            continue


def send(calling, called, port, folder, name, ds):
    """Sends a file under UIDs of its own, so that none is taken for another."""
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    path = Path(folder) / name
    try:
        ds.save_as(path, enforce_file_format=True)
    except Exception:
        return False
    ae = AE(calling)
    ae.add_requested_context(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", port, ae_title=called)
    try:
        status = association.send_c_store(path)
        return "Status" in status and status.Status == 0
    except Exception:
        return False
    finally:
        association.release()


def expected(ds):
    """What pydicom decodes, frame by frame; colours of lossy compression as RGB."""
    syntax = ds.file_meta.TransferSyntaxUID
    compressed_colour = syntax in LOSSY_JPEG | JPEG_2000
    array = pixel_array(ds, raw=not compressed_colour)
    frames = int(ds.get("NumberOfFrames", 1) or 1)
    return array if frames > 1 else array[numpy.newaxis]


def ours(ds, raw):
    """One decoded frame as an array of pydicom's shape."""
    kind = {1: "u1", 8: "u1", 16: "<u2", 32: "<u4"}[ds.BitsAllocated]
    kind = kind.replace("u", "i") if ds.PixelRepresentation else kind
    if ds.BitsAllocated == 1:
        bits = numpy.unpackbits(numpy.frombuffer(raw, "u1"), bitorder="little")
        return bits[: ds.Rows * ds.Columns].reshape(ds.Rows, ds.Columns)
    array = numpy.frombuffer(raw, kind)
    if ds.PixelRepresentation:
        # Stored values may leave the bits above them empty; pydicom fills them with the sign.
        above = ds.BitsAllocated - ds.BitsStored
        array = (array << above) >> above
    if ds.SamplesPerPixel == 1:
        return array.reshape(ds.Rows, ds.Columns)
    compressed = ds.file_meta.TransferSyntaxUID.is_compressed and ds.file_meta.TransferSyntaxUID != "1.2.840.10008.1.2.1.99"
    if len(array) == ds.Rows * ds.Columns * 2:
        return None
    if ds.get("PlanarConfiguration", 0) == 1 and not compressed:
        return array.reshape(3, ds.Rows, ds.Columns).transpose(1, 2, 0)
    return array.reshape(ds.Rows, ds.Columns, 3)


def differs(ds, wanted, got):
    """How far two frames are apart, beyond what is allowed; None if they agree."""
    if wanted.shape != got.shape:
        return f"shape {got.shape}, expected {wanted.shape}"
    difference = numpy.abs(wanted.astype("i8") - got.astype("i8"))
    syntax = ds.file_meta.TransferSyntaxUID
    allowed = 0
    if syntax in LOSSY_JPEG or syntax == "1.2.840.10008.1.2.4.91":
        allowed = CHROMINANCE if ds.SamplesPerPixel == 3 else ROUNDING
    # How chrominances are spread between pixels shows at edges, in few places.
    few = difference.size / 50 if allowed == CHROMINANCE else 0
    if (difference > allowed).sum() > few:
        return f"differs by up to {difference.max()}, {int((difference > allowed).sum())} samples"
    return None


def compare(client, name, ds, line):
    place = (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    found = client.search_for_instances(search_filters={"SOPInstanceUID": ds.SOPInstanceUID})
    line["found"] = len(found)
    model = client.retrieve_instance_metadata(*place)
    # The one has letters in a number, which the model may keep.
    header = pydicom.Dataset.from_json(model) if name != "badVR.dcm" else ds
    wrong = []
    for keyword in ["PatientID", "Modality", "Rows", "Columns", "BitsStored", "PhotometricInterpretation"]:
        if header.get(keyword) != ds.get(keyword) and str(header.get(keyword)).strip() != str(ds.get(keyword)).strip():
            wrong.append(f"{keyword}: {header.get(keyword)!r}, expected {ds.get(keyword)!r}")
    if "PatientName" in ds and str(header.get("PatientName", "")).rstrip("^=") != str(ds.PatientName).rstrip("^="):
        wrong.append("PatientName")
    whole = client.retrieve_instance(*place)
    if whole.PixelData != ds.PixelData:
        wrong.append("the whole object has other pixels")
    try:
        frames = expected(ds)
    except Exception as error:
        line["undecodable"] = repr(error)[:200]
        frames = None
    numbers = list(range(1, (len(frames) if frames is not None else 1) + 1))
    try:
        stored = client.retrieve_instance_frames(*place, numbers, media_types=(("application/octet-stream", "*"),))
        line["stored"] = len(stored)
        decoded = client.retrieve_instance_frames(*place, numbers, media_types=(("application/octet-stream", LITTLE),))
        line["decoded"] = len(decoded)
    except Exception as error:
        line["refused"] = getattr(getattr(error, "response", None), "text", repr(error))[:300]
        decoded = []
    if frames is not None and decoded and name not in APART:
        for wanted, raw in zip(frames, decoded, strict=True):
            got = ours(ds, raw)
            fault = differs(ds, wanted, got) if got is not None else None
            if fault:
                wrong.append(f"frame: {fault}")
                break
    answer = client._session.get(
        f"{client.base_url}/studies/{place[0]}/series/{place[1]}/instances/{place[2]}/frames/1",
        headers={"Accept": f"image/jls; transfer-syntax={JPEG_LS}"},
    )
    line["jls"] = answer.status_code
    if answer.status_code == 200 and decoded:
        from jpeg_ls import decode_pixel_data

        raw, info = decode_pixel_data(answer.content)
        mine = numpy.frombuffer(raw, "u1" if info["bits_per_sample"] <= 8 else "<u2")
        native = ours(ds, decoded[0])
        kind = "u1" if ds.BitsAllocated == 8 else "<u2"
        if native is not None and decoded[0] != bytes(raw):
            # They lose what stands above the bits that are stored, but for the sign.
            above = ds.BitsAllocated - ds.BitsStored
            kind = kind.replace("u", "i") if ds.PixelRepresentation else kind
            masked = (numpy.frombuffer(decoded[0], kind) << above) >> above
            if name not in APART and not numpy.array_equal(masked.ravel(), mine.view(kind).ravel()):
                wrong.append("JPEG-LS differs from what it was made of")
    try:
        picture = client.retrieve_instance_rendered(*place, media_types=("image/png",), params={"viewport": "256,256"})
        line["rendered"] = len(picture)
    except Exception as error:
        line["not_rendered"] = getattr(getattr(error, "response", None), "text", repr(error))[:300]
    line["wrong"] = wrong


def main():
    calling, called, port, address, token = sys.argv[1:6]
    client = DICOMwebClient(address, headers={"Authorization": f"Bearer {token}"})
    with tempfile.TemporaryDirectory() as folder:
        for name, ds in files():
            line = {"file": name, "syntax": ds.file_meta.TransferSyntaxUID.name}
            if name in APART:
                line["apart"] = APART[name]
            try:
                line["sent"] = send(calling, called, int(port), folder, name, ds)
                if line["sent"]:
                    compare(client, name, ds, line)
            except Exception as error:
                line["failed"] = getattr(getattr(error, "response", None), "text", repr(error))[:500]
            print(json.dumps(line), flush=True)


main()
