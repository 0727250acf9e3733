"""Small files of the other kinds that the vault reads, and pictures of writing."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from email.message import EmailMessage

import pytest


def tarred(files: Mapping[str, bytes], *, others: Sequence[tarfile.TarInfo] = ()) -> bytes:
    """A tar archive of ``files``, behind entries without content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for entry in others:
            archive.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def message(text: str, *, subject: str = "Figures", attached: Mapping[str, bytes] | None = None) -> bytes:
    """An e-mail with attachments."""
    made = EmailMessage()
    made["From"] = "Ana Örn <ana@example.org>"
    made["To"] = "bo@example.org"
    made["Date"] = "Tue, 05 Mar 2024 10:00:00 +0100"
    made["Subject"] = subject
    made.set_content(text)
    for name, content in (attached or {}).items():
        made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return made.as_bytes()


def mailbox(messages: Sequence[bytes]) -> bytes:
    """A mailbox (mbox) of messages."""
    return b"".join(b"From ana@example.org Tue Mar  5 10:00:00 2024\n" + each + b"\n" for each in messages)


def picture(lines: Sequence[str], *, kind: str = "PNG", width: int = 1_000) -> bytes:
    """A picture of writing; the test is skipped where no letters can be drawn."""
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is in the extra ocr")
    from PIL import ImageDraw, ImageFont

    image = image_module.new("RGB", (width, 60 * len(lines) + 40), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=36)
    for number, line in enumerate(lines):
        draw.text((30, 20 + 60 * number), line, fill="black", font=font)
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()
