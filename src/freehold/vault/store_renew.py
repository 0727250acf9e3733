"""What a vault's file does when what it was indexed by has changed: other rules for words, or another model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from freehold.domain.errors.vault import VaultOfAnotherModel, VaultOfNewerVersion
from freehold.vault import store_codes, store_words
from freehold.vault.places import is_sent
from freehold.vault.store_database import Database
from freehold.vault.store_schema import LATER, ORDINAL_BITS, SCHEMA, VECTORS, tables
from freehold.vault.store_seal import opened_text, opened_values, sealed_values
from freehold.vault.words import kept_terms

_PROBE = (
    "The cats' studies were running hopped agreed ponies caresses 1,234.5 v2.0 FH-VAULT-010 naïve Straße ÅNGSTRÖM "
    "Übergrößenträger επιστήμες исследованиями araştırmalar والكتاب للمدرسة المعلمون हिन्दी में लिखा ภาษาไทยง่าย "
    "漢字かなカナ 한국어 người nghiên cứu cooperation re\u00adsoft ﬁne e\u0301tude x_y user@example.org"
)


def prepare(connection: Database, path: Path, *, model: str, dimensions: int, is_renewed: bool) -> bytes:
    """Make the tables where there are none, and see that they are ours; in a transaction.

    Args:
        connection: Of the writer.
        path: Of its file, for errors.
        model: What makes vectors now.
        dimensions: How many numbers they have.
        is_renewed: Whether vectors of another model are forgotten; every piece then waits for a new one.

    Returns:
        The vault's own secret, by which texts are numbered in its indexes.

    Raises:
        VaultOfNewerVersion: A newer version wrote it.
        VaultOfAnotherModel: Its vectors are of another model.
    """
    words = words_now()
    found = tables(connection, model=model, dimensions=dimensions, words=words)
    if int(found["schema"]) > SCHEMA:
        raise VaultOfNewerVersion(path=path.name, found=found["schema"], known=SCHEMA)
    if int(found["schema"]) < SCHEMA:
        _upgrade(connection)
    if not connection.execute("SELECT 1 FROM pragma_table_info('vector') WHERE name = 'tenant'").fetchall():
        _divide_by_tenant(connection, dimensions=found["dimensions"])
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'code'").fetchall():
        store_codes.fill(connection)
    if is_renewed and (found["model"], found["dimensions"]) != (model, dimensions):
        forget_vectors(connection, dimensions=dimensions)
    elif not is_renewed:
        check_model(connection, path, model=model, dimensions=dimensions)
    if found["words"] != words:
        reindex_words(connection, found["pepper"])
    said = (("schema", SCHEMA), ("model", model), ("dimensions", dimensions), ("words", words))
    connection.executemany("UPDATE meta SET value = ?2 WHERE name = ?1 AND value <> ?2", said)
    return found["pepper"]


def check_model(connection: Database, path: Path, *, model: str, dimensions: int) -> None:
    """See that a file's vectors are of a model: another process may have them made by another one meanwhile.

    Raises:
        VaultOfAnotherModel: They are not.
    """
    query = "SELECT name, value FROM meta WHERE name IN ('model', 'dimensions')"
    found = dict(connection.execute(query).fetchall())
    if (found["model"], found["dimensions"]) != (model, dimensions):
        raise VaultOfAnotherModel(
            path=path.name,
            found=found["model"],
            found_dimensions=found["dimensions"],
            model=model,
            dimensions=dimensions,
        )


def _upgrade(connection: Database) -> None:
    """Make a file of the first version one of this.

    Who may read its documents counts as said by hand, whoever said it: so nobody gains anything by the new version.
    """
    connection.execute("ALTER TABLE document ADD COLUMN sent INTEGER NOT NULL DEFAULT 0")
    connection.execute(LATER)
    query = "SELECT row, key, about, names FROM document JOIN secret ON secret.document = row JOIN access ON access.id = access"
    for row, secret, sealed, names in connection.execute(query).fetchall():
        about = [*opened_values(secret, sealed), json.loads(names) if names else None]
        new = (int(is_sent(str(about[0]))), sealed_values(secret, about), row)
        connection.execute("UPDATE document SET sent = ?, about = ? WHERE row = ?", new)


def _divide_by_tenant(connection: Database, *, dimensions: int) -> None:
    """Make the table of vectors anew with the vectors it has: some files of the first version divide a tenant's in two."""
    found = connection.execute("SELECT chunk, access, embedding FROM vector").fetchall()
    connection.execute("DROP TABLE vector")
    connection.execute(VECTORS.format(dimensions=dimensions))
    connection.executemany(
        "INSERT INTO vector (chunk, tenant, access, embedding) VALUES (?, ?, ?, ?)",
        ((chunk_id, chunk_id >> ORDINAL_BITS, access, vector) for chunk_id, access, vector in found),
    )


def words_now() -> str:
    """Stands for the rules by which texts become terms: other rules make other terms of this."""
    return hashlib.sha256(kept_terms(_PROBE).encode()).hexdigest()


def reindex_words(connection: Database, pepper: bytes) -> None:
    """Make the postings anew, of what is kept."""
    for table in ("posting", "term", "view"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608  a name of ours
    query = "SELECT row, tenant, first, access, key FROM document JOIN secret ON secret.document = row ORDER BY row"
    for row, tenant, first, access, secret in connection.execute(query).fetchall():
        found = connection.execute("SELECT indexed FROM chunk WHERE document = ? ORDER BY id", (row,)).fetchall()
        texts = [opened_text(secret, indexed) for (indexed,) in found]
        terms = store_words.index(connection, pepper=pepper, tenant=tenant, first=first, access=access, texts=texts)
        connection.execute("UPDATE had SET terms = ? WHERE document = ?", (terms, row))


def forget_vectors(connection: Database, *, dimensions: int) -> None:
    """Remove all vectors; every piece waits for one of ``dimensions`` numbers."""
    connection.execute("DROP TABLE vector")
    connection.execute("DELETE FROM code")
    connection.execute(VECTORS.format(dimensions=dimensions))
    connection.execute("UPDATE chunk SET embedded = 0")
    connection.execute("UPDATE document SET state = 'pending' WHERE state = 'ready' AND chunks > 0")
