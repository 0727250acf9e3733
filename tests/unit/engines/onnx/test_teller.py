"""What tells languages apart, as the package itself would say, without a file being written."""

from __future__ import annotations

import tempfile

import pytest

from freehold.engines.onnx.teller import LanguageTeller

langid = pytest.importorskip("py3langid.langid", reason="the extra embed is not installed")


def test_it_says_what_the_package_says_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)

    def refuse(*_args: object, **_options: object) -> None:
        raise FileNotFoundError("a worker may write no file")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    ours = LanguageTeller()
    for words in ("pacjentka została przyjęta do szpitala", "the patient was brought in", "", "x1"):
        assert list(ours(words)) == [(name, float(chance)) for name, chance in theirs.rank(words)]
    assert ours("pacjentka została przyjęta do szpitala")[0][0] == "pl"
