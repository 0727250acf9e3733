"""For all tests: nothing reaches past loopback, no property fails because the machine is busy, nothing is made twice."""

from __future__ import annotations

import gc
import os
import sys

import pytest
from hypothesis import settings
from pytest_socket import socket_allow_hosts

# What was compiled is kept, whatever this shell wants of Python: hundreds of processes are started here, and each would
# compile the whole program anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# numpy's threads wait for each other by spinning: on cores that are shared the same fit takes nine times the CPU.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What stays to the end, all tests and their modules, is not looked through for garbage each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def only_loopback() -> None:
    """Connections of this process beyond loopback fail; child processes are held by tests of their own."""
    socket_allow_hosts(["127.0.0.0/8", "::1"], allow_unix_socket=True)
