"""The two stages of pretraining: what each is trained on, with which network and views."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from hipt.cohort.sheet import read_sheet
from hipt.config.pretraining import DinoConfig, PretrainPatchesConfig, PretrainRegionsConfig, recipe
from hipt.config.section import Section
from hipt.config.step_settings import PretrainSettings
from hipt.embedding.weights_files import read_weights
from hipt.layout import Results
from hipt.nn.dino.views import GridViews, PatchViews
from hipt.nn.encoders import HIPT_MEAN, HIPT_STD
from hipt.nn.vit import ViT, initialise, place_by_sines, vit256, vit4096
from hipt.nn.weights import load_strictly
from hipt.pretraining.corpus import read_corpus, read_grid_corpus
from hipt.pretraining.corpus_list import Member, State
from hipt.pretraining.grid_source import GridSource
from hipt.pretraining.order import Share
from hipt.pretraining.patch_source import PatchSource
from hipt.pretraining.source import Source
from hipt.slides.slide import Slide, open_slide

Views = Callable[[Tensor, torch.Generator], list[Tensor]]


@dataclass(frozen=True)
class Stage:
    """All that training has to know of a stage."""

    section: str
    """Its section of the config, for sentences."""
    unit: str
    """What one item is called."""
    cfg: PretrainPatchesConfig | PretrainRegionsConfig
    shape: Section
    precision: Literal["auto", "fp32", "bf16"]
    members: tuple[Member, ...]
    """The corpus list."""
    items: int
    """Items of one pass."""
    make: Callable[[float], ViT]
    """The network for a stochastic depth, without its first weights."""
    views: Views
    open_source: Callable[[Share, int, State | None], Source]
    """A source for a share, a batch, and a state to go on from."""

    @property
    def dino(self) -> DinoConfig:
        """The recipe of head, loss and optimiser."""
        return self.cfg.dino

    def backbone(self, drop_path: float) -> ViT:
        """The network with its first weights: those of `init`, else random ones.

        Raises:
            HiptError: if `init` is absent, damaged, or of another architecture.
        """
        model = self.make(drop_path)
        initialise(model, self.dino.seed)
        if isinstance(self.cfg, PretrainRegionsConfig) and self.cfg.positions == "sines":
            place_by_sines(model)
        if self.cfg.init is not None:
            state = read_weights(Path(self.cfg.init), like=model).state
            load_strictly(model, state, f"{self.section}.init: {self.cfg.init}")
        return model

    def source(self, rank: int, ranks: int, state: State | None) -> Source:
        """The minibatches of one process."""
        share = Share(self.dino.seed, rank, ranks)
        return self.open_source(share, self.dino.batch // ranks, state)

    def recipe(self) -> dict[str, Any]:
        """What decides the trained weights, but for the corpus; fit for JSON."""
        return recipe(self.section, self.cfg, self.shape)

    def metadata(self) -> dict[str, str]:
        """What the weights have to carry to be used."""
        if self.section.endswith("regions"):
            return {}
        return {"mean": json.dumps(HIPT_MEAN), "std": json.dumps(HIPT_STD)}


def stage_of(
    name: str,
    cfg: PretrainSettings,
    results: Results,
    threads: int,
    opener: Callable[[Path], Slide] = open_slide,
) -> Stage:
    """A stage, `patches` or `regions`, with its corpus.

    Raises:
        HiptError: if the corpus setting means nothing, or nothing belongs to it.
    """
    rows = read_sheet(Path(cfg.sheet), cfg.root, cfg.case_from, cfg.missing)
    if name == "patches":
        settings = cfg.pretrain.patches
        on_disk = read_corpus(rows, settings.corpus, results, cfg.tile, settings.min_patch_tissue)
        corpus = replace(on_disk, opener=opener)
        return Stage(
            section="pretrain.patches",
            unit="patches",
            cfg=settings,
            shape=cfg.patches.vit_shape,
            precision=cfg.pretrain.precision,
            members=corpus.members,
            items=corpus.patches,
            make=lambda drop_path: vit256(cfg.patches.vit_shape, drop_path),
            views=PatchViews(settings.views, HIPT_MEAN, HIPT_STD),
            open_source=lambda share, batch, state: PatchSource(
                corpus, share, batch, settings.pool_blocks, threads, state
            ),
        )
    regions = cfg.pretrain.regions
    grids = read_grid_corpus(rows, regions.corpus, results)
    return Stage(
        section="pretrain.regions",
        unit="regions",
        cfg=regions,
        shape=cfg.regions.vit_shape,
        precision=cfg.pretrain.precision,
        members=grids.members,
        items=grids.regions,
        make=lambda drop_path: vit4096(cfg.regions.vit_shape, grids.dim, drop_path),
        views=GridViews(regions.views),
        open_source=lambda share, batch, state: GridSource(grids, share, batch, state),
    )
