"""Importing does nothing, and starting up is quick to load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

IMPORT_EVERYTHING = """
import sys, threading, pkgutil
touched = []
def hook(event, args):
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork")):
        if not (event == "socket.__new__" or event == "socket.gethostname"):
            touched.append((event, str(args)[:80]))
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        touched.append((event, str(args)[:80]))
sys.dont_write_bytecode = True
sys.addaudithook(hook)
before = threading.active_count()
import freehold
for module in pkgutil.walk_packages(freehold.__path__, "freehold."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
assert not touched, touched
assert threading.active_count() == before, threading.enumerate()
print(sum(1 for name in sys.modules if name.startswith("freehold")))
"""


def _run(code: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "HOME": "/nonexistent"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


def test_importing_every_module_opens_nothing() -> None:
    outcome = _run(IMPORT_EVERYTHING)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    assert int(outcome.stdout) > 60


def test_import_freehold_loads_nothing_else() -> None:
    outcome = _run("import sys; before = set(sys.modules); import freehold; print(sorted(set(sys.modules) - before))")
    assert outcome.stdout.strip() == "['freehold']"


def test_help_loads_no_heavy_package() -> None:
    code = (
        "import sys; sys.argv = ['freehold', '--help']\n"
        "from freehold.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'uvicorn', 'starlette', 'genai_prices', 'huggingface_hub', 'xllamacpp', 'pydantic', 'cryptography',"
        "'cedarpy'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))"
    )
    outcome = _run(code)
    assert "LOADED []" in outcome.stdout, outcome.stdout[-500:] + outcome.stderr[-1500:]
