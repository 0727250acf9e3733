"""What a file is, by its content: signatures first, then what packages hold, then a model for texts (magika)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from freehold.domain.errors.vault import FileKindUnknown, FileWithoutText
from freehold.vault.parsing.limits import Spent
from freehold.vault.parsing.package import Package
from freehold.vault.parsing.plain import decoded
from freehold.vault.parsing.slides import PRESENTATION
from freehold.vault.parsing.word import DOCUMENT

_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN = "application/vnd.oasis.opendocument"
_SAMPLE_BYTES = 8_192
_HEAD_BYTES = 512
_CONTROLS = bytes(set(range(32)) - {9, 10, 12, 13, 27})
_CONTROLS_MOST = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a file is.

    Attributes:
        media_type: As said to others.
        reader: Which reader takes it.
        text: What it says, where it is a text.
    """

    media_type: str
    reader: str
    text: str = ""


_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"{\\rtf", "application/rtf", "other"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png", "picture"),
    (0, b"\xff\xd8\xff", "image/jpeg", "picture"),
    (0, b"GIF87a", "image/gif", "picture"),
    (0, b"GIF89a", "image/gif", "picture"),
    (0, b"II*\x00", "image/tiff", "picture"),
    (0, b"MM\x00*", "image/tiff", "picture"),
    (8, b"WEBP", "image/webp", "picture"),
    (0, b"\x1f\x8b", "application/gzip", "gz"),
    (0, b"BZh", "application/x-bzip2", "bz2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz", "xz"),
    (257, b"ustar", "application/x-tar", "tar"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", ""),
    (0, b"Rar!\x1a\x07", "a RAR archive", ""),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive", ""),
    (0, b"\x7fELF", "a program", ""),
    (0, b"MZ", "a program", ""),
    (0, b"ID3", "a sound", ""),
    (0, b"OggS", "a sound", ""),
    (0, b"fLaC", "a sound", ""),
    (8, b"WAVE", "a sound", ""),
    (4, b"ftyp", "a film or sound", ""),
    (0, b"SQLite format 3\x00", "a database", ""),
)
"""Place, bytes, media type, reader; no reader where such files are known and not read."""

_PARTS = (
    (DOCUMENT, f"{_OFFICE}.wordprocessingml.document", "word"),
    (PRESENTATION, f"{_OFFICE}.presentationml.presentation", "slides"),
    ("xl/workbook.xml", f"{_OFFICE}.spreadsheetml.sheet", "package"),
    ("xl/workbook.bin", "application/vnd.ms-excel.sheet.binary.macroEnabled.12", "package"),
)
_MIMETYPES = {
    f"{_OPEN}.text": "package",
    f"{_OPEN}.spreadsheet": "package",
    f"{_OPEN}.presentation": "package",
    "application/epub+zip": "package",
}

_OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLD_STREAMS = (
    ("EncryptedPackage", "", ""),
    ("WordDocument", "application/msword", "other"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint", "other"),
    ("Workbook", "application/vnd.ms-excel", "other"),
    ("__substg1.0_", "application/vnd.ms-outlook", "other"),
)
ENCRYPTED = "encrypted"

_PDF_WITHIN = 1_024
_MAIL_HEADERS = re.compile(
    rb"(?:\A|\n)(?:from|to|subject|date|message-id|received|return-path|mime-version|delivered-to|reply-to):",
    re.IGNORECASE,
)
_MAIL_LINE = re.compile(rb"[!-9;-~]{1,70}:[ \t\r\n]|[!-9;-~]{1,70}:\S")
_MAIL_LEAST = 2
_ENVELOPE = re.compile(rb"From \S+\s.*\d\d:\d\d")
_HTML = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_ENDINGS = {".md": "markdown", ".markdown": "markdown", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv"}
_SEPARATORS = {"csv": ",;|", "tsv": "\t"}
_TEXTS = frozenset(
    {
        "txt",
        "unknown",
        "txtascii",
        "txtutf8",
        "txtutf16",
        "empty",
        "undefined",
        "randomtxt",
        "latex",
        "rst",
        "srt",
        "ini",
    }
)
_SAMPLE_LINES = 5


class Guess:
    """The model that tells kinds of text from each other, loaded with the first of them."""

    def __init__(self) -> None:
        self._model: Any = None

    def load(self) -> None:
        """Load it, in this process and with no thread beside its own, so that a copy of the process has all of it."""
        if self._model is not None:
            return
        import onnxruntime
        from magika import Magika

        class OneThread(Magika):
            """As it comes, it starts a thread for each core."""

            def _init_onnx_session(self) -> Any:
                runtime: Any = onnxruntime
                runtime.disable_telemetry_events()
                options = runtime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                return runtime.InferenceSession(str(self._model_path), options, providers=["CPUExecutionProvider"])

        self._model = OneThread()

    def label(self, data: bytes) -> tuple[str, str, str]:
        """Label, group and media type of a text."""
        self.load()
        output = self._model.identify_bytes(data).output
        return str(output.label), output.group, output.mime_type


def kind_of(data: bytes, name: str, spent: Spent, guess: Guess) -> Kind:
    """What ``data`` is; its name settles only what kind of text a text is.

    Raises:
        FileUnread: It is empty, or no kind of document that is read.
    """
    if not data:
        raise FileWithoutText(name=spent.name, reason="it is empty")
    if data.startswith(b"%PDF-") or (b"%PDF-" in data[:_PDF_WITHIN] and _is_binary(data)):
        return Kind(media_type="application/pdf", reader="pdf")
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _package_kind(Package(data, spent))
    if data.startswith(_OLD):
        return _old_kind(data, spent)
    for place, mark, media_type, reader in _SIGNATURES:
        if data.startswith(mark, place) and (not mark.isalnum() or _is_binary(data)):
            if not reader:
                raise FileKindUnknown(name=spent.name, reason=media_type)
            return Kind(media_type=media_type, reader=reader)
    if data.startswith(b"BM") and data[6:10] == bytes(4):
        return Kind(media_type="image/bmp", reader="picture")
    return _mail_kind(data) or _text_kind(data, name, spent, guess)


def _is_binary(data: bytes) -> bool:
    """Whether it has bytes that no text has: a text, too, may begin with the letters of a signature."""
    return len(data[:_HEAD_BYTES].translate(None, _CONTROLS)) < len(data[:_HEAD_BYTES])


def _package_kind(package: Package) -> Kind:
    for part, media_type, reader in _PARTS:
        if part in package.entries:
            return Kind(media_type=media_type, reader=reader)
    entry = package.entries.get("mimetype")
    if entry is not None and entry.file_size < _PDF_WITHIN:
        said = package.unpacked(entry).decode("ascii", "replace").strip()
        if said in _MIMETYPES:
            return Kind(media_type=said, reader=_MIMETYPES[said])
    return Kind(media_type="application/zip", reader="zip")


def _old_kind(data: bytes, spent: Spent) -> Kind:
    """Old office files and encrypted new ones: a small file system, whose directory names its streams in UTF-16."""
    for stream, media_type, reader in _OLD_STREAMS:
        if stream.encode("utf-16-le") in data:
            return Kind(media_type=media_type or "application/vnd.ms-office", reader=reader or ENCRYPTED)
    raise FileKindUnknown(name=spent.name, reason="an old office file of no known program")


def _mail_kind(data: bytes) -> Kind | None:
    sample = data[:_SAMPLE_BYTES]
    if sample.startswith(b"From "):
        first, _, begun = sample.partition(b"\n")
        if _ENVELOPE.match(first) and (not begun.strip() or _MAIL_LINE.match(begun)):
            return Kind(media_type="application/mbox", reader="mbox")
    head = re.split(rb"\r?\n\r?\n", sample, maxsplit=1)[0]
    if not _MAIL_LINE.match(head) or len(_MAIL_HEADERS.findall(head)) < _MAIL_LEAST:
        return None
    is_head = all(_MAIL_LINE.match(line) or line[:1] in (b" ", b"\t") for line in head.splitlines()[:-1])
    return Kind(media_type="message/rfc822", reader="mail") if is_head else None


def _text_kind(data: bytes, name: str, spent: Spent, guess: Guess) -> Kind:
    text, encoding = decoded(data)
    sample = data[:_SAMPLE_BYTES]
    if not encoding.startswith("utf-16") and not encoding.startswith("utf-32"):
        controls = len(sample) - len(sample.translate(None, _CONTROLS))
        if controls > _CONTROLS_MOST * len(sample):
            raise FileKindUnknown(name=spent.name, reason="bytes that are no text")
    if not text.strip("\x00\ufeff \t\r\n\f"):
        raise FileWithoutText(name=spent.name, reason="it is blank")
    if _HTML.match(text[:_SAMPLE_BYTES]):
        return Kind(media_type="text/html", reader="html", text=text)
    label, group, media_type = guess.label(text[: 1 << 20].encode("utf-8", "replace"))
    hint = _ENDINGS.get(name[name.rfind(".") :].lower()) if "." in name else None
    if label == "html":
        return Kind(media_type="text/html", reader="html", text=text)
    if hint == "markdown" or label == "markdown":
        return Kind(media_type="text/markdown", reader="markdown", text=text)
    for rows in ("csv", "tsv"):
        if rows in (label, hint) and separator(text, rows):
            return Kind(media_type="text/csv" if rows == "csv" else "text/tab-separated-values", reader=rows, text=text)
    if label in _TEXTS or group not in ("code", "text"):
        return Kind(media_type="text/plain", reader="text", text=text)
    return Kind(media_type=media_type or "text/plain", reader="code" if group == "code" else "text", text=text)


def separator(text: str, rows: str) -> str:
    """What separates the values of a table in text: the character that every one of its first lines has; or empty."""
    lines = [line for line in text[:_SAMPLE_BYTES].splitlines() if line.strip()][: _SAMPLE_LINES + 1]
    lines = lines[:_SAMPLE_LINES] if len(lines) > 1 else lines
    found = {each: min((line.count(each) for line in lines), default=0) for each in _SEPARATORS[rows]}
    best = max(found, key=lambda each: found[each])
    return best if found[best] else ""
