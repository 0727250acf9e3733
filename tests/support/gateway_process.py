"""The gateway as a process of its own: ``python -m tests.support.gateway_process CONFIG DATA`` prints where it listens."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from freehold.app.server import Announcement, serve
from freehold.config.load import load
from freehold.domain.errors.base import FreeholdError


def main(config_path: str, data_folder: str) -> int:
    """Serve until told to stop; a refusal to start is one JSON line too."""

    def announce(announcement: Announcement) -> None:
        print(json.dumps({"url": announcement.url, "key_path": str(announcement.key_path)}), flush=True)

    try:
        return serve(load(Path(config_path)), data_folder=Path(data_folder), announce=announce)
    except FreeholdError as error:
        print(json.dumps({"code": error.code, "message": error.message}), flush=True)
        return 2


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
