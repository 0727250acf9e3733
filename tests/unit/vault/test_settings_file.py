"""How a vault searches, in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.domain.errors.vault import VaultSettingsInvalid
from freehold.domain.vault import SearchSettings
from freehold.vault.settings_file import load_settings, save_settings, settings_path
from tests.support.same_time import write_within_writing

SETTINGS = SearchSettings(
    embedder="m", reranker="r", words=0.3, fusion="rrf", candidates=50, reranked=20, support_at=0.4
)


def test_what_is_kept_is_read_and_only_its_owner_may(tmp_path: Path) -> None:
    path = settings_path(tmp_path / "archive.db")
    assert path == tmp_path / "archive.search.json"
    assert load_settings(path) is None
    save_settings(path, SETTINGS, measured={"ndcg_after": 0.7})
    assert load_settings(path) == SETTINGS
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_two_may_keep_theirs_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = settings_path(tmp_path / "archive.db")
    write_within_writing(monkeypatch, path, lambda: save_settings(path, SETTINGS))
    assert load_settings(path) == SETTINGS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"rrf"', '"other"'),
        ("0.3", "1.3"),
        ('"candidates": 50', '"candidates": 0'),
        ('"version": 1', '"version": 2'),
        ("{", "["),
    ],
)
def test_what_no_vault_can_do_is_refused(old: str, new: str, tmp_path: Path) -> None:
    path = tmp_path / "x.search.json"
    save_settings(path, SETTINGS)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(VaultSettingsInvalid, match="freehold vault tune"):
        load_settings(path)
