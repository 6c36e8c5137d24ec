"""Models that answer for a bag: a slide's or case's regions in, classes or time bins out."""

from hipt.nn.mil.bags import Bags, pad
from hipt.nn.mil.clusters import CLUSTERS
from hipt.nn.mil.model import BagModel, Output, Sizes
from hipt.nn.mil.models import MODELS, build

__all__ = ["CLUSTERS", "MODELS", "BagModel", "Bags", "Output", "Sizes", "build", "pad"]
