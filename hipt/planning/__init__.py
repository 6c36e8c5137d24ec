"""What a run will do, known before it starts.

Snakemake reads it again in every job, so nothing heavy is imported here.
"""
