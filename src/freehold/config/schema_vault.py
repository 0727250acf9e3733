"""Settings of vaults: private documents that are searched."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from freehold.config.section import Name, SecretReference, Section

VaultName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
ReaderName = Annotated[str, Field(pattern=r"^(user|group):[^\s,;]{1,128}$")]
FileEnding = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+_-]{0,15}$")]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class VaultFolder(Section):
    """A folder whose files are kept in a vault."""

    path: str = Field(min_length=1, description="The folder.")
    tenant: Name | None = Field(
        default=None, description="Tenant that its documents belong to. If not said: the first one."
    )
    label: str = Field(
        default="",
        description="Label that its documents have at least, for example restricted; the tenant's own, rules for sources"
        " and markings in a document raise it.",
    )
    readers: list[ReaderName] | None = Field(
        default=None,
        description="Who may read its documents, as user:NAME and group:NAME; everybody of the tenant if not said.",
    )
    watch: bool = Field(
        default=True,
        description="Whether a running gateway takes in new, changed, moved and deleted files by itself; else freehold add"
        " does when it is called.",
    )
    ignore: list[str] = Field(
        default=[],
        max_length=1_000,
        description="Patterns of files and folders in it that are left out, for example drafts or *.bak; * is anything."
        " Hidden ones always are.",
    )
    kinds: list[FileEnding] = Field(
        default=[],
        max_length=1_000,
        description="Endings of the files that are taken, for example pdf and docx; all if none is named. What a file is"
        " goes by its content.",
    )


class VaultSection(Section):
    """A vault: private documents, encrypted in one file, found by their words and their meaning."""

    embedder: ModelName = Field(
        default="auto",
        description="Model on this device that makes vectors: auto (the best that is installed for the languages of the"
        " documents), a name of the catalogue, or none to search by words alone.",
    )
    reranker: ModelName = Field(
        default="auto",
        description="Model on this device that orders found passages anew: auto (one that is installed and fits their"
        " language), a name of the catalogue, or none.",
    )
    ocr: bool = Field(default=True, description="Whether text in images and scanned pages is read, with the extra ocr.")
    tenants: list[Name] = Field(default=[], description="Tenants that may use it; all if none is named.")
    trusted: bool = Field(
        default=False,
        description="Whether what its documents say is as good as the words of who asks, so that passages of them leave the"
        " context of a chat trusted; a change holds from the next reload on. Not where mail, web pages or files of others"
        " are in it.",
    )
    key: SecretReference | None = Field(
        default=None,
        description="Key that its file is encrypted with, by reference: env:NAME or file:PATH. If not said, one is made and"
        " kept in the data folder, where only its owner may read it.",
    )
    keep_files: bool = Field(
        default=False, description="Whether the bytes of files are kept beside their text, encrypted like it."
    )
    file_bytes_max: int = Field(
        default=536_870_912, ge=1_024, le=1_099_511_627_776, description="Largest file that is read, in bytes."
    )
    upload_bytes_max: int = Field(
        default=10_737_418_240,
        ge=1_024,
        le=1_125_899_906_842_624,
        description="How many bytes of documents the clients of each tenant may keep in it over the API, with what is"
        " inside of them. Files that are added here, and those of folders, do not count.",
    )
    folders: dict[Name, VaultFolder] = Field(
        default={}, description="Folders whose files are kept in it, each under a name of your own."
    )
