"""The Hierarchical Image Pyramid Transformer (Chen et al., CVPR 2022) as a workflow."""

__version__ = "0.1.0"
