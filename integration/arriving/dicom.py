"""Images as DICOM files or a zip of them: their headers are read, never their pictures.

https://dicom.nema.org/medical/dicom/current/output/html/part10.html
"""

import os
import re
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Literal

from pydicom import dcmread

from integration.arriving.refused import Refused
from mappings.received import Identity, Said, Series, Study, day_of_dicom

MAX_FILES = 20_000
MAX_RATIO = 200  # a zip whose content is so many times larger than itself is no zip of images
BLOCK = 256 * 1024
DEFLATED = b"1.2.840.10008.1.2.1.99"  # its header is compressed too: how large it gets is not known before
_PIXELS = frozenset({(0x7FE0, 0x0010), (0x7FE0, 0x0008), (0x7FE0, 0x0009)})  # whole numbers, float, double float
_UNTIL_A_MARK = 0xFFFFFFFF  # compressed: it ends with a mark of its own
_UID = re.compile(r"[0-9.]{1,64}")
_TAGS = (
    "PatientName PatientID PatientBirthDate StudyInstanceUID SeriesInstanceUID SOPInstanceUID StudyDate StudyDescription "
    "SeriesDescription Modality BodyPartExamined InstitutionName Rows"
).split()


@dataclass(frozen=True)
class Image:
    """What the header of one instance says."""

    identity: Identity
    study: str
    series: str
    instance: str
    started_on: str
    description: str
    modality: str
    body: str
    institution: str


# The 128 bytes before a DICOM file are nobody's: a file can be a program, a page or a PDF to another reader, and DICOM to ours.
# A TIFF header is lawful there. https://dicom.nema.org/medical/dicom/current/output/html/part10.html#sect_7.5
_OF_OTHERS = (
    b"MZ",
    b"\x7fELF",
    b"\xfe\xed\xfa",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"#!",
    b"<",
    b"%PDF",
    b"PK",
)


def said_of_file(file: BinaryIO) -> Said:
    """What one DICOM file says. Raises Refused."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return said_of([_image(file, size, "the file")])


def said_of_zip(file: BinaryIO, *, max_bytes: int, spool: Callable[[], BinaryIO]) -> tuple[Said, BinaryIO | None]:
    """What the images of a zip say, and the images alone in another zip where other files lay beside them. Raises Refused."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _checked(archive, max_bytes)
            images, names = _images(archive, entries, max_bytes)
            others = len(entries) - len(names)
            repacked = _repacked(archive, names, spool) if others else None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, ValueError, OSError) as error:
        raise Refused(
            f"The zip file is damaged or cut off ({type(error).__name__}). Make it anew, and send it again."
        ) from None
    return replace(said_of(images), left_out=others), repacked


def zip_of(files: list[tuple[str, BinaryIO]], spool: Callable[[], BinaryIO]) -> BinaryIO:
    """Several DICOM files in one zip; the same files make the same bytes."""
    made = spool()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for number, (_, file) in enumerate(files, 1):
            file.seek(0)
            _add(archive, f"IM{number:05}", iter(lambda each=file: each.read(BLOCK), b""))  # type: ignore[misc]
    return made


def said_of(images: list[Image]) -> Said:
    """All images of one patient together. Raises Refused for those of several."""
    people = {(each.identity.family.casefold(), each.identity.born_on, each.identity.numbers) for each in images}
    if len(people) > 1:
        raise Refused(
            f"The images are of {len(people)} different patients or patient numbers. Send each patient's alone, from a copy "
            "that holds nobody else's."
        )
    first = images[0]
    studies = tuple(_study(uid, images) for uid in dict.fromkeys(each.study for each in images))
    days = {each.started_on for each in studies}
    return Said(
        identity=first.identity if first.identity != Identity() else None,
        studies=studies,
        title="; ".join(dict.fromkeys(each.description for each in studies if each.description))[:200],
        source=next((each.institution for each in images if each.institution), ""),
        dated=days.pop() if len(days) == 1 else "",
    )


def _study(uid: str, images: list[Image]) -> Study:
    mine = [each for each in images if each.study == uid]
    series = tuple(
        Series(
            one,
            next(each.modality for each in mine if each.series == one),
            next((each.body for each in mine if each.series == one and each.body), ""),
            len({each.instance for each in mine if each.series == one}),
        )
        for one in dict.fromkeys(each.series for each in mine)
    )
    return Study(uid, mine[0].started_on, mine[0].description, series)


def _checked(archive: zipfile.ZipFile, max_bytes: int) -> list[zipfile.ZipInfo]:
    """Its files, when nothing about them is a trap."""
    entries = [each for each in archive.infolist() if not each.is_dir()]
    if not entries:
        raise Refused("The zip file is empty.")
    if len(entries) > MAX_FILES:
        raise Refused(f"The zip file holds {len(entries)} files; at most {MAX_FILES} are taken. Send each study alone.")
    for each in entries:
        _must_be_harmless(each)
    whole, packed = sum(each.file_size for each in entries), sum(each.compress_size for each in entries)
    if whole > 4 * max_bytes or whole > MAX_RATIO * max(packed, 1):
        raise Refused("The zip file unpacks to far more than images do. It was not opened.")
    if len({each.filename for each in entries}) < len(entries):
        raise Refused("The zip file holds two files of one name. Make it anew, and send it again.")
    return entries


def _must_be_harmless(entry: zipfile.ZipInfo) -> None:
    parts = PurePosixPath(entry.filename.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in entry.filename or "\0" in entry.orig_filename:
        raise Refused(
            "The zip file holds a name that leads out of its folder. It was not opened; ask for another copy."
        )
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Refused("The zip file holds a link in place of a file. It was not opened; ask for another copy.")
    if entry.flag_bits & 1:
        raise Refused("The zip file is locked with a password. Unlock it, and send it without one.")


def _images(
    archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], max_bytes: int
) -> tuple[list[Image], list[zipfile.ZipInfo]]:
    """The headers, and in which files they stand; every file is read to its end, so that what it states is what it is."""
    images, names, read = [], [], 0
    for number, entry in enumerate(entries, 1):
        with archive.open(entry) as file:
            head = file.read(132)
            if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or entry.filename.lower().endswith(".zip"):
                raise Refused("The zip file holds another zip file. Unpack that one, and send what is in it.")
            read += len(head) + sum(len(block) for block in iter(lambda: file.read(BLOCK), b""))
            if read > 4 * max_bytes:
                raise Refused("The zip file unpacks to far more than images do. It was not opened further.")
        if head[128:132] == b"DICM" and PurePosixPath(entry.filename).name.upper() != "DICOMDIR":
            with archive.open(entry) as file:
                images.append(_image(file, entry.file_size, f"file {number} of the zip"))
            names.append(entry)
    if not images:
        raise Refused("The zip file holds no DICOM images. Documents are sent one by one, not as a zip.")
    return images, names


def _image(file: Any, size: int, where: str) -> Image:
    """What a header says. ``file`` may be one of a zip, of ``size`` bytes. Raises Refused."""
    head = file.read(1024)
    if head.lstrip().startswith(_OF_OTHERS):
        raise Refused(
            f"{where.capitalize()} begins as a program or a document and goes on as DICOM: opened elsewhere it is something else. "
            "Export it anew."
        )
    if DEFLATED in head:
        raise Refused(f"The header of {where} is compressed (deflated), which is not read here. Export it anew.")
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values are ours to judge, and warnings hold them
            header = dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
            is_cut = _is_cut(file, size, header)
            said = {tag: str(header.get(tag, "") or "").strip() for tag in _TAGS}
    except Exception as error:  # whatever a library makes of a broken file
        raise Refused(
            f"{where.capitalize()} is not DICOM that can be read ({type(error).__name__}). Export it anew."
        ) from None
    if not _UID.fullmatch(said["StudyInstanceUID"]) or not _UID.fullmatch(said["SeriesInstanceUID"]):
        raise Refused(
            f"{where.capitalize()} does not say which study it is of. Export it anew from the imaging system."
        )
    if not re.fullmatch(r"[A-Z0-9_]{1,16}", said["Modality"]):
        raise Refused(f"{where.capitalize()} does not say its modality. Export it anew from the imaging system.")
    if is_cut:
        raise Refused(f"{where.capitalize()} is cut off: a part of the picture is missing. Export it anew.")
    family, _, rest = said["PatientName"].partition("=")[0].partition("^")
    return Image(
        Identity(
            family[:200],
            rest.partition("^")[0][:200],
            day_of_dicom(said["PatientBirthDate"]),
            (said["PatientID"][:64],) if said["PatientID"] else (),
        ),
        said["StudyInstanceUID"],
        said["SeriesInstanceUID"],
        said["SOPInstanceUID"],
        day_of_dicom(said["StudyDate"]),
        (said["StudyDescription"] or said["SeriesDescription"])[:200],
        said["Modality"],
        said["BodyPartExamined"][:64],
        said["InstitutionName"][:200],
    )


def _is_cut(file: Any, size: int, header: Any) -> bool:
    """Whether the file ends before its pixels do; ``file`` stands before them, or at its end where it has none."""
    is_implicit, is_little = header.original_encoding
    order: Literal["little", "big"] = "little" if is_little else "big"
    at = file.tell()
    head = file.read(12)
    if at > size or not head:
        return at != size or "Rows" in header
    if len(head) < 12 or (int.from_bytes(head[:2], order), int.from_bytes(head[2:4], order)) not in _PIXELS:
        return True
    is_implicit = is_implicit or head[4:8] == b"\xff" * 4  # some write the last element so in a file that is explicit
    length = int.from_bytes(head[4:8] if is_implicit else head[8:12], order)
    return length != _UNTIL_A_MARK and at + (8 if is_implicit else 12) + length > size


def _repacked(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], spool: Callable[[], BinaryIO]) -> BinaryIO:
    made = spool()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as target:
        for entry in sorted(entries, key=lambda each: each.filename):
            with archive.open(entry) as file:
                _add(target, entry.filename, iter(lambda: file.read(BLOCK), b""))
    return made


def _add(archive: zipfile.ZipFile, name: str, blocks: Iterator[bytes]) -> None:
    with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as target:
        for block in blocks:
            target.write(block)
