"""Every reader, on files that are damaged: an answer, a sentence or a status, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fuzz.runner import Readers
from tests.fuzz.targets import TARGETS

COUNT = int(os.environ.get("HIPT_FUZZ", "150"))
"""Inputs per reader; more for a long run."""

MOST_MIB = 1600
"""Memory that reading one small file may take."""


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readers]:
    with Readers(tmp_path_factory.mktemp("fuzz")) as process:
        yield process


@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_ends_in_a_sentence_or_a_status(readers: Readers, name: str):
    ended = list(readers.outcomes(name, COUNT))
    assert ended[0].kind == "accepted", ended[0]  # the file as it should be
    assert [one for one in ended if one.kind == "other"] == []
    assert max(one.peak_mib for one in ended) < MOST_MIB
