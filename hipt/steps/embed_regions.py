"""Stage 2: one vector per region, from the grids of patch vectors on disk."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hipt.config import EmbedRegionsSettings
from hipt.io.checkpoints import load_region_encoder
from hipt.io.digests import weights_identity
from hipt.io.indices import BatchRun, Row, kept_facts, read_index
from hipt.io.results import Results
from hipt.io.settings import read_settings, step_parser
from hipt.io.shards import Provenance, fingerprint
from hipt.io.tables import PatchEmbeddings, region_embeddings_schema, vectors, write_table
from hipt.nn.encoders import choose_precision, inference
from hipt.nn.vit import ViT
from hipt.steps import VERSION

log = logging.getLogger(__name__)

MINIBATCH = 64
"""Regions per forward pass; a minibatch never mixes slides."""
