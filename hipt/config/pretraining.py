"""The recipe of self-supervised pretraining: every number of DINO, for both stages.

Defaults are those with which the released weights were made, where these are known.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hipt.config.section import Section

Share = Annotated[float, Field(ge=0, le=1)]
Scale = tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]]


class PatchViewsConfig(Section):
    """What stage 1 sees of a patch: random crops, colours, blur."""

    global_px: Annotated[int, Field(ge=16, le=1024)] = 224
    """Side of the two large views; a multiple of 16."""
    local_px: Annotated[int, Field(ge=16, le=1024)] = 96
    """Side of the small views; a multiple of 16."""
    local_crops: Annotated[int, Field(ge=0, le=32)] = 8
    """Number of small views."""
    global_scale: Scale = (0.4, 1.0)
    """Share of the patch's area that a large view is cut from: least, most."""
    local_scale: Scale = (0.05, 0.4)
    """Share of the patch's area that a small view is cut from: least, most."""
    flip: Share = 0.5
    """Probability of a mirror image."""
    rotate: bool = False
    """Also vertical mirrors and quarter turns: tissue has no up. Not in the paper."""
    jitter: Share = 0.8
    """Probability that brightness, contrast, saturation and hue are changed."""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.4
    """Most change of brightness, as a share."""
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.4
    """Most change of contrast, as a share."""
    saturation: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Most change of saturation, as a share."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Most turn of the hue, as a share of the full circle."""
    grayscale: Share = 0.2
    """Probability of a view without colour."""
    blur: tuple[Share, Share, Share] = (1.0, 0.1, 0.5)
    """Probability of a blur: first large view, second large view, small views."""
    blur_sigma: tuple[
        Annotated[float, Field(gt=0, le=10)], Annotated[float, Field(gt=0, le=10)]
    ] = (0.1, 2.0)
    """Standard deviation of the blur in pixels: least, most."""
    solarise: Share = 0.2
    """Probability that bright values of the second large view are inverted."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("global_scale", "local_scale", "blur_sigma"):
            least, most = getattr(self, name)
            if least > most:
                raise ValueError(f"{name}: the first ({least}) must not exceed the second ({most})")
        for name in ("global_px", "local_px"):
            if getattr(self, name) % 16:
                raise ValueError(f"{name} ({getattr(self, name)}) must be a multiple of 16")
        return self


class GridViewsConfig(Section):
    """What stage 2 sees of a region's grid of patch vectors: random crops at the grid's scale."""

    global_side: Annotated[int, Field(ge=2, le=64)] = 14
    """Patches along a large view's side."""
    local_side: Annotated[int, Field(ge=1, le=64)] = 6
    """Patches along a small view's side."""
    local_crops: Annotated[int, Field(ge=0, le=32)] = 8
    """Number of small views."""
    flip: Share = 0.5
    """Probability of a mirror image."""
    rotate: bool = False
    """Also vertical mirrors and quarter turns. Not in the paper."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of values set to 0 in every view; in the paper, not in the released code."""
    swap_means: bool = False
    """Give every view the mean vector of another region of the minibatch in place of its own
    region's, so that stain does not tell which views belong together. Not in the paper."""


SHARPEST = 0.1
"""Least temperature in units of the answers' spread; below it one output takes all."""


class DinoConfig(Section):
    """Head, loss, teacher and optimiser, and how long."""

    iterations: Annotated[int, Field(ge=1)] = 400_000
    """Optimiser steps."""
    batch: Annotated[int, Field(ge=1)] = 256
    """Patches or regions per step, over all GPUs."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides weights, order and views."""
    out_dim: Annotated[int, Field(ge=2)] = 65536
    """Width K of the head's output."""
    hidden_dim: Annotated[int, Field(ge=2)] = 2048
    """Width of the head's hidden layers."""
    bottleneck_dim: Annotated[int, Field(ge=2)] = 256
    """Width of the normalised layer before the last."""
    teacher_temp: Annotated[float, Field(gt=0, le=1)] = 0.04
    """Temperature of the teacher's distribution."""
    standardise: bool = False
    """Count `teacher_temp` in the spread of the teacher's answers over a process' minibatch, and
    take their mean for the centre, so that they neither flatten nor peak. Not in the paper."""
    student_temp: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Temperature of the student's distribution."""
    centre_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """How slowly the centre of the teacher's outputs moves."""
    teacher_momentum: Annotated[float, Field(ge=0, le=1)] = 0.996
    """How slowly the teacher follows the student, at the start; by a cosine to 1 at the end."""
    lr: Annotated[float, Field(gt=0)] = 5e-4
    """Learning rate after the warm-up, for a batch of 256; scaled with the batch."""
    min_lr: Annotated[float, Field(ge=0)] = 1e-6
    """Learning rate at the end."""
    warmup_iterations: Annotated[int, Field(ge=0)] = 40_000
    """Steps over which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.04
    """Weight decay at the start; none on biases and one-dimensional parameters."""
    weight_decay_end: Annotated[float, Field(ge=0)] = 0.4
    """Weight decay at the end, reached by a cosine."""
    clip: Annotated[float, Field(gt=0)] | None = 3.0
    """Largest norm of a single parameter's gradient; null: no limit."""
    frozen_iterations: Annotated[int, Field(ge=0)] | None = None
    """Steps without training the last layer; null: a pass over the data, at most a tenth of all."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Most stochastic depth of the student."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 1000
    """Steps between two checkpoints."""

    @model_validator(mode="after")
    def _of_one_unit(self) -> Self:
        if self.standardise and self.teacher_temp < SHARPEST:
            raise ValueError(
                f"teacher_temp ({self.teacher_temp}) counts in the spread of the answers where "
                f"standardise is true, and must be at least {SHARPEST} there; 0.5 was measured"
            )
        return self


class RegionsDinoConfig(DinoConfig):
    """Head, loss, teacher and optimiser, and how long: half as many steps as stage 1."""

    iterations: Annotated[int, Field(ge=1)] = 200_000
    """Optimiser steps."""
    warmup_iterations: Annotated[int, Field(ge=0)] = 20_000
    """Steps over which the learning rate rises from 0."""
    masked: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """Share of large views' patches that the student is not shown and has to predict, beside
    DINO's loss. Not in the paper."""


class PretrainPatchesConfig(Section):
    """Stage 1: ViT256 from the slides' patches."""

    corpus: str = "all"
    """`all` slides, those of a label (`column=value`), or a file with one slide_id per line."""
    init: str | None = None
    """Weights to start from, e.g. the released ones; null: random ones."""
    min_patch_tissue: Share = 0.1
    """Patches with less tissue are left out."""
    pool_blocks: Annotated[int, Field(ge=1, le=4096)] = 128
    """Blocks of 4 x 4 neighbouring patches that are shuffled together; two such pools in memory."""
    micro_batches: Annotated[int, Field(ge=1)] = 1
    """Parts that a process's minibatch is computed in, where memory does not hold it whole."""
    views: PatchViewsConfig = PatchViewsConfig()
    dino: DinoConfig = DinoConfig()


class PretrainRegionsConfig(Section):
    """Stage 2: ViT4096 from the regions' grids of patch vectors."""

    corpus: str = "all"
    """`all` slides, those of a label (`column=value`), or a file with one slide_id per line."""
    init: str | None = None
    """Weights to start from, e.g. the released ones; null: random ones."""
    positions: Literal["random", "sines"] = "random"
    """What position embeddings start from: random numbers, as in the paper, or sines, by which
    neighbours are known from the first step on."""
    micro_batches: Annotated[int, Field(ge=1)] = 1
    """Parts that a process's minibatch is computed in, where memory does not hold it whole."""
    views: GridViewsConfig = GridViewsConfig()
    dino: RegionsDinoConfig = RegionsDinoConfig()

    @model_validator(mode="after")
    def _positions_of_its_own(self) -> Self:
        if self.init is not None and self.positions == "sines":
            raise ValueError(
                "positions: sines is for a new network; init has its own, leave it out"
            )
        return self


class PretrainConfig(Section):
    """Both self-supervised stages, run where `embed.*.weights` is `pretrain`."""

    processes: Annotated[int, Field(ge=1)] = 1
    """GPUs to train on together."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto`: bf16 where the hardware is faster with it, else fp32."""
    cpu_threads: Annotated[int, Field(ge=1, le=256)] = 4
    """Threads that compute where there is no GPU, however many cores there are: the order of sums
    follows from them, and from it the last bits of the weights."""
    patches: PretrainPatchesConfig = PretrainPatchesConfig()
    regions: PretrainRegionsConfig = PretrainRegionsConfig()


def recipe(
    section: str, cfg: PretrainPatchesConfig | PretrainRegionsConfig, shape: Section
) -> dict[str, Any]:
    """What decides the trained weights, but for the corpus; fit for JSON.

    Args:
        section: the section's place in the config.
        cfg: the section.
        shape: size of the network.
    """
    settings = cfg.model_dump(mode="json", exclude={"corpus", "micro_batches"})
    del settings["dino"]["checkpoint_every"]
    return {"stage": section, **settings, "shape": shape.model_dump()}
