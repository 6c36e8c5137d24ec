"""What torchrun is started with; that it trains is in tests/steps/test_pretrain.py."""

from __future__ import annotations

import pytest
from torch.distributed.run import get_args_parser

from hipt.errors import HiptError
from hipt.pretraining.launch import SHUTDOWN_S, refuse_too_few_gpus, shown, torchrun


def test_torchrun_waits_for_a_step_and_a_checkpoint():
    """It knows the option, and hands on all three signals."""
    command = torchrun(4, ["pretrain", "--out", "a b"])
    read = get_args_parser().parse_args(command[3:])
    assert read.shutdown_timeout == SHUTDOWN_S > 30
    assert read.signals_to_handle == "SIGTERM,SIGINT,SIGUSR1"
    assert read.nproc_per_node == "4"
    assert (read.training_script, read.training_script_args) == (
        "hipt",
        ["pretrain", "--out", "a b"],
    )


@pytest.mark.parametrize(
    ("before", "chosen", "after"),
    [
        (None, (0, 3), "0,3"),
        ("2,5,7", (0, 2), "2,7"),
        ("GPU-aa, GPU-bb", (1,), "GPU-bb"),
    ],
)
def test_processes_see_the_leased_gpus_alone(
    before: str | None, chosen: tuple[int, ...], after: str
):
    assert shown(chosen, {} if before is None else {"CUDA_VISIBLE_DEVICES": before}) == after


def test_more_processes_than_gpus():
    with pytest.raises(HiptError, match=r"processes is 4, and this job has 2 GPU"):
        refuse_too_few_gpus(4, 2)
    for processes, gpus in ((4, 4), (2, 4), (2, 0)):
        refuse_too_few_gpus(processes, gpus)
