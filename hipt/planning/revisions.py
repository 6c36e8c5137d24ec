"""What else than settings and inputs reruns a step: its version, and digests of what it reads.

Snakemake keeps it with every output and compares it in every plan. Hence rows are digests: nothing
here may grow with the sheet.
"""

from __future__ import annotations

from typing import Any

from hipt.embedding.timm_revision import timm_revision
from hipt.planning.plan import Plan
from hipt.registry import version_of
from hipt.store.provenance import fingerprint

Revision = dict[str, Any]


def revision(plan: Plan, step: str) -> Revision:
    """A step's version, the content of its weights, and what may change the network of stage 1."""
    software = timm_revision(plan.config.embed.patches) if step == "embed_patches" else {}
    return {"version": version_of(step), "weights": plan.weights.get(step)} | software


def of_segment(plan: Plan, batch: str) -> Revision:
    """Of segment: a batch's rows and files, and the features of slides without a file."""
    made = _of_rows("segment", plan.members[batch])
    alone = [slide_id for slide_id in plan.members[batch] if slide_id in plan.without_file]
    if plan.features is None or not alone:
        return made
    return made | {"features": fingerprint(files=plan.features.digests(alone))}


def of_tile(plan: Plan, batch: str) -> Revision:
    """Of tile: the files of imported features of a batch's slides."""
    if plan.features is None:
        return revision(plan, "tile")
    files = fingerprint(files=plan.features.digests(plan.members[batch]))
    return revision(plan, "tile") | {"features": files}


def of_slides(plan: Plan) -> Revision:
    """Of the slide table: the sheet's rows but for their labels."""
    rows = [[row.slide_id, row.case_id, row.site, str(row.path), row.exclude] for row in plan.rows]
    return _of_rows("slides", rows)


def of_probe(plan: Plan) -> Revision:
    """Of the probe: the sheet's cases and labels."""
    labels = plan.labels.of_slide
    rows = [[row.slide_id, row.case_id, labels.get(row.slide_id)] for row in plan.rows]
    return _of_rows("probe", rows)


def of_split(plan: Plan, task: str) -> Revision:
    """Of the split of a task: the sheet's cases, sites and labels of the task."""
    columns = plan.config.tasks[task].columns
    rows = [
        [row.slide_id, row.case_id, row.site, row.exclude, [row.labels.get(c) for c in columns]]
        for row in plan.rows
    ]
    return _of_rows("split", rows)


def of_export(plan: Plan) -> Revision:
    """Of the export: the sheet's cases and labels."""
    return _of_rows("export", [[row.slide_id, row.case_id, row.labels] for row in plan.rows])


def mapped(plan: Plan, batch: str) -> str:
    """Of attend, beside its revision: which slides of a batch get heatmaps."""
    return fingerprint(slides=plan.mapped[batch])


def _of_rows(step: str, rows: object) -> Revision:
    """A step's version and the digest of rows."""
    return {"version": version_of(step), "rows": fingerprint(rows=rows)}
