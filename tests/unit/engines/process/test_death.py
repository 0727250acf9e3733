from __future__ import annotations

import pytest

from freehold.engines.process.death import last_words, read_death


@pytest.mark.parametrize(
    ("returncode", "output", "how", "by_memory"),
    [
        (-9, "", "by signal 9 (SIGKILL)", True),
        (-9, "0.01.262.088 I cmn init: n_threads = 1\n", "by signal 9 (SIGKILL): cmn init: n_threads = 1", True),
        (-11, "", "by signal 11 (SIGSEGV)", False),
        (-4, "", "by signal 4 (SIGILL)", False),
        (-77, "", "by signal 77 (unknown)", False),
        (0, "", "with exit code 0", False),
        (1, "Traceback:\nRuntimeError: cannot load\n\n", "with exit code 1: RuntimeError: cannot load", False),
        (1, "MemoryError\n", "with exit code 1: MemoryError", True),
        (-6, "terminate called after throwing 'std::bad_alloc'\n  what():  std::bad_alloc\n",
         "by signal 6 (SIGABRT): what():  std::bad_alloc", True),
        (1, "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 99\n",
         "with exit code 1: ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 99", True),
        (1, "ggml_cuda: cudaMalloc failed: out of memory\n",
         "with exit code 1: ggml_cuda: cudaMalloc failed: out of memory", True),
    ],
)  # fmt: skip
def test_deaths_are_read(returncode: int, output: str, how: str, by_memory: bool) -> None:
    death = read_death(returncode, output)
    assert (death.how, death.by_memory) == (how, by_memory)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("", ""),
        ("\n \n", ""),
        ("one\ntwo\n", "two"),
        ("0.00.003.010 E srv load_model: failed to load\n0.00.004 I srv bye\n", "srv load_model: failed to load"),
    ],
)
def test_the_most_telling_line_is_kept(output: str, words: str) -> None:
    assert last_words(output) == words
