"""Errors as values."""

from __future__ import annotations

from freehold.domain.errors.upstream import UpstreamStatus


def test_an_error_that_is_raised_again_is_the_same_but_for_where_it_came_through() -> None:
    kept = UpstreamStatus(source="box", deployment="box", upstream_status=503, reason="no", retry_after_s=2.0)
    kept.told = True
    again = kept.again()
    assert type(again) is type(kept)
    assert again is not kept
    assert str(again) == str(kept)
    assert vars(again) == vars(kept)
    assert again.http_status == 503
