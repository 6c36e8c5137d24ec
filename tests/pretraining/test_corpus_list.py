"""The list of what a model has seen, and the states that go with it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hipt.errors import HiptError
from hipt.pretraining.corpus_list import (
    Member,
    corpus_digest,
    order_name,
    read_corpus_list,
    resumed_at,
    write_corpus_list,
)

MEMBERS = (Member("0012", "f1", 3, 40, "p1", "d1"), Member("b,c", "f2", 1, 2))


def test_the_list_is_read_as_it_was_written(tmp_path: Path):
    path = tmp_path / "vit256.corpus.csv"
    write_corpus_list(path, MEMBERS)
    assert path.read_text() == (
        'slide_id,fingerprint,regions,patches,case_id,content\n0012,f1,3,40,p1,d1\n"b,c",f2,1,2,,\n'
    )
    assert read_corpus_list(path) == MEMBERS


def test_a_list_of_an_earlier_version_is_read(tmp_path: Path):
    path = tmp_path / "vit256.corpus.csv"
    path.write_text('slide_id,fingerprint,regions,patches\n0012,f1,3,40\n"b,c",f2,1,2\n')
    assert read_corpus_list(path) == (Member("0012", "f1", 3, 40), Member("b,c", "f2", 1, 2))
    # cases and contents decide no weights: the digest in the weights stays what it was
    assert hashlib.sha256(path.read_bytes()).hexdigest() == corpus_digest(MEMBERS)


BROKEN = (
    "slide_id,fingerprint,regions,patches\na,f,x,1\n",
    "slide_id,fingerprint,regions,patches\na,f,1,1,p\n",
    "slide_id,fingerprint,regions,patches,case_id,content\na,f,1,1,p\n",
)


def test_a_file_that_is_no_list_is_refused(tmp_path: Path):
    with pytest.raises(HiptError, match="not there"):
        read_corpus_list(tmp_path / "no.csv")
    for number, text in enumerate(["", "a,b\n", *BROKEN]):
        (tmp_path / f"{number}.csv").write_text(text)
        with pytest.raises(HiptError, match="is not a corpus list"):
            read_corpus_list(tmp_path / f"{number}.csv")


def test_a_state_goes_with_its_order_alone():
    order = order_name(MEMBERS, seed=1, rank=0, ranks=1)
    assert resumed_at(None, order) == (0, 0)
    assert resumed_at({"order": order, "position": 7, "skipped": 2}, order) == (7, 2)
    for other in (
        order_name(MEMBERS, seed=2, rank=0, ranks=1),
        order_name(MEMBERS[:1], seed=1, rank=0, ranks=1),
    ):
        with pytest.raises(HiptError, match="another corpus, seed, pool_blocks or number of GPUs"):
            resumed_at({"order": order, "position": 7}, other)
