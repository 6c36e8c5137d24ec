"""Every setting of a run: one frozen class per section of `config/config.yaml`.

Types and bounds only; nothing here opens a file. Units stand in the names: `_px` pixels, `_um`
micrometres, `_mm2` square millimetres, `mpp` micrometres per pixel.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hipt.config.encoders import CELL_PX as CELL_PX
from hipt.config.encoders import LOCAL as LOCAL
from hipt.config.encoders import OWN as OWN
from hipt.config.encoders import PATCH_SHAPES as PATCH_SHAPES
from hipt.config.encoders import PRETRAIN as PRETRAIN
from hipt.config.encoders import REGION_SHAPES as REGION_SHAPES
from hipt.config.encoders import EmbedConfig as EmbedConfig
from hipt.config.encoders import EngineSetting as EngineSetting
from hipt.config.encoders import PatchEncoderConfig as PatchEncoderConfig
from hipt.config.encoders import PrecisionSetting as PrecisionSetting
from hipt.config.encoders import RegionEncoderConfig as RegionEncoderConfig
from hipt.config.encoders import ViTShape as ViTShape
from hipt.config.pretraining import PretrainConfig
from hipt.config.section import Section
from hipt.config.tasks import KnnConfig, TaskConfig, TaskName

Device = Literal["auto", "gpu", "cpu"]
Reader = Literal["auto", "openslide", "direct"]

Origin = Literal["qupath", "openslide"]
"""Whose level-0 pixels outlines are in: QuPath's begin where the scan does, see docs/outputs.md."""

Extent = Literal["slide", "scan"]
"""What a picture of a slide shows: all of it, or the part that was scanned."""


MISSING = (
    *("NA", "N/A", "#N/A", "<NA>", "NaN", "null", "None", "unknown", "[Unknown]", "-", "--", "."),
    *("not available", "[Not Available]", "not applicable", "[Not Applicable]", "not evaluated"),
    *("[Not Evaluated]", "not reported", "[Not Reported]", "[Discrepancy]", "'--"),
)
"""What registries, spreadsheets and data frames write where a value is not known."""


class SlidesConfig(Section):
    """Which slides, and how their headers are understood."""

    sheet: str = "config/slides.csv"
    """The sheet (CSV, one row per slide), or a folder: every slide in it, named after its file."""
    root: str | None = None
    """Folder that relative slide and mask paths start from; null: the sheet's own folder."""
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 16
    """Slides per job, more where that would be over 128 jobs; a change holds for later slides."""
    case_from: Literal["column", "tcga"] = "column"
    """`column`: case_id from the sheet, else the slide_id; `tcga`: the id's first 12 characters."""
    missing: tuple[Annotated[str, Field(min_length=1)], ...] = MISSING
    """Cells that mean the same as an empty one, in the sheet and in the labels of tasks; capitals
    do not count. What a task names in `classes` is a class all the same."""
    default_mpp: Annotated[float, Field(gt=0, le=100)] | None = None
    """Micrometres per pixel for slides that state none; null: such slides end as `no_mpp`."""
    mpp_tolerance: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """How far a read resolution may be from `mpp`, as a share, before pixels are resampled."""
    reader: Reader = "auto"
    """Who reads patches. `auto`: hipt decodes tiles where they equal OpenSlide's, which is faster;
    `openslide`: OpenSlide alone; `direct`: as auto, but slides whose tiles differ are refused."""
    mask_origin: Origin = "qupath"
    """Where pixels of GeoJSON masks begin. `qupath`: where the scan does, as QuPath shows MIRAX,
    SCN and Ventana slides; `openslide`: at the slide's corner. Of other slides both are the same.
    """
    pictures_show: Extent = "slide"
    """What pictures of slides show (masks, label maps). `slide`: all of it, as OpenSlide opens it;
    `scan`: the part that was scanned, as QuPath shows it."""
    on_slide_error: Literal["record", "stop"] = "record"
    """`record`: a slide that is broken or fails is a row with a reason; `stop`: its job fails."""


class SegmentConfig(Section):
    """Tissue against glass on a thumbnail; densities are relative to the slide's own glass."""

    mask_mpp: Annotated[float, Field(ge=1, le=64)] = 8.0
    """Resolution of the tissue mask, um/px; at most this, from the slide's own levels."""
    smooth_um: Annotated[float, Field(gt=0, le=200)] = 16.0
    """Standard deviation of the blur in which stain is found: it bridges cell walls and noise."""
    min_chroma_od: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Least spread of optical density over the colours that counts as stain."""
    max_chroma_od: Annotated[float, Field(gt=0, le=1)] = 0.08
    """The automatic threshold never rises above this, however uneven the glass."""
    glass_sigmas: Annotated[float, Field(gt=0, le=20)] = 5.0
    """The threshold's distance from glass, in standard deviations of glass."""
    edge_smooth_um: Annotated[float, Field(gt=0, le=100)] = 6.0
    """Standard deviation of the blur in which the outline is drawn."""
    edge_share: Annotated[float, Field(ge=0, lt=1)] = 0.35
    """The outline lies where the spread of density falls to this share of the tissue's around."""
    max_edge_od: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Above this spread of density it is tissue, whatever lies beside: pale beside dark stain."""
    edge_reach_um: Annotated[float, Field(gt=0, le=500)] = 60.0
    """What is around: standard deviation of its weights. Deeper than this, tissue is left whole."""
    min_pale_od: Annotated[float, Field(gt=0, le=1)] = 0.012
    """Least spread of density of pale tissue that goes on beyond what was found: fat, mucus."""
    min_wall_od: Annotated[float, Field(gt=0, le=1)] = 0.003
    """Least spread of density by which walls of fat cells exceed their surroundings."""
    fat_cell_um: Annotated[float, Field(ge=0, le=500)] = 100.0
    """Gaps up to twice this are closed between walls of fat cells."""
    min_fat_mm2: Annotated[float, Field(ge=0)] = 0.05
    """Smaller pale areas beside tissue are debris."""
    close_um: Annotated[float, Field(ge=0, le=500)] = 50.0
    """Gaps up to twice this are closed: slits, lumina, pale cells."""
    min_tissue_mm2: Annotated[float, Field(ge=0)] = 0.01
    """Smaller pieces are dust."""
    min_hole_mm2: Annotated[float, Field(ge=0)] = 0.05
    """Smaller holes are filled."""
    ink_od: Annotated[float, Field(gt=0)] = 0.25
    """Least optical density of a pen mark."""
    ink_red_to_green: Annotated[float, Field(gt=1)] = 1.25
    """Blue ink absorbs red this many times as much as green."""
    black_od: Annotated[float, Field(gt=0)] = 0.6
    """Least optical density, in every colour, of black ink."""
    min_ink_mm2: Annotated[float, Field(ge=0)] = 0.05
    """Smaller dark or blue spots are not pen marks."""
    ink_margin_um: Annotated[float, Field(ge=0, le=500)] = 50.0
    """Pen marks are widened by this, since they fade at the edge."""
    ink_structure: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Ink is out of focus: what differs by more light from its neighbours, on average, is stain."""
    ink_stain_share: Annotated[float, Field(gt=0, le=1)] = 0.25
    """A colour that is at least this share of what is stained, and is not drawn, is stain."""
    max_pigment_mm2: Annotated[float, Field(ge=0)] = 1.0
    """Spots up to this size that tissue surrounds are pigment, not ink."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_chroma_od > self.max_chroma_od:
            raise ValueError(
                f"min_chroma_od ({self.min_chroma_od}) must not exceed "
                f"max_chroma_od ({self.max_chroma_od})"
            )
        return self


class TileConfig(Section):
    """The grid of regions and patches."""

    region_px: Annotated[int, Field(ge=32, le=16384)] = 4096
    """Side of a region at `mpp`; paper: 4096."""
    patch_px: Annotated[int, Field(ge=16, le=1024)] = 256
    """Side of a patch at `mpp`; paper: 256."""
    min_tissue: Annotated[float, Field(ge=0, le=1)] = 0.1
    """A region is kept from this tissue share on; a slide with tissue keeps at least its best."""
    anchor: Literal["best", "tissue", "slide"] = "best"
    """Where the grid starts: `tissue`, at the corner of the tissue's bounding box; `best`, from
    there moved back by whole patches, so that the fewest regions hold the tissue; `slide`, at the
    corner of the slide."""

    @model_validator(mode="after")
    def _whole_patches(self) -> Self:
        if self.region_px % self.patch_px:
            raise ValueError(
                f"region_px ({self.region_px}) must be a whole number of patches; "
                f"take a multiple of patch_px ({self.patch_px})"
            )
        return self

    @property
    def grid(self) -> int:
        """Patches along a region's side; paper: 16."""
        return self.region_px // self.patch_px


class ProbeConfig(Section):
    """What frozen features know of labels, by neighbours and linear models of other cases."""

    labels: str | None = None
    """Folder of `<slide_id>.png`: maps of whole slides, grey value = class, 0 = unlabelled."""
    column: str | None = None
    """Label column of the sheet, or `site`, that regions are asked for too."""
    k: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many neighbours vote."""
    train_fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.1, 1.0)
    """Shares of the training part that linear models are fitted on; []: none are."""
    most_patches: Annotated[int, Field(ge=10, le=100_000)] = 3000
    """Most patches, and most regions, that are compared; drawn evenly over slides."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides draws and folds; seed + 1000 the weights of the random networks."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.train_fractions)) < len(self.train_fractions):
            raise ValueError("train_fractions must name each share once")
        return self


class AttendConfig(Section):
    """Heatmaps: where stage 2 and the fitted models of tasks look, and what moves their answers."""

    slides: Literal["all"] | tuple[str, ...] = ()
    """`all`, or the slide_ids that get maps."""
    shifts: Annotated[int, Field(ge=1, le=16)] = 1
    """Grids of regions, each moved further, whose maps are averaged; must divide region_px /
    patch_px; paper: 4."""
    cells: Annotated[int, Field(ge=0, le=64)] = 0
    """Regions per slide, most attended first, whose cells are looked at too; reads pixels."""
    examples: Annotated[int, Field(ge=0, le=50)] = 6
    """Most and least attended regions shown per class, or per end of risk; 0: none are."""
    labels: str | None = None
    """Folder of `<slide_id>.png`, grey value = class, that maps are compared with."""
    target: tuple[Annotated[int, Field(ge=1, le=255)], ...] = ()
    """The grey values that a map should find."""


class ExportConfig(Section):
    """Embeddings in the files of other tools: docs/exchange.md."""

    formats: tuple[Literal["trident", "clam", "stamp", "hipt"], ...] = ()
    """Whose files to write under `results/export/`; none by default."""
    min_patch_tissue: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Patches with less tissue are left out; `hipt` has all patches of a region always."""


class ReportConfig(Section):
    """The report page."""

    title: str = "HIPT"
    """Heading of the page."""
    overviews: Annotated[int, Field(ge=0, le=2000)] = 200
    """Most slide pictures that are put into the page; the table always has every slide."""


class Config(Section):
    """The whole of `config/config.yaml`."""

    slides: SlidesConfig = SlidesConfig()
    results: str = "results"
    """Folder for everything that is made."""
    mpp: Annotated[float, Field(gt=0, le=10)] = 0.5
    """Resolution at which patches are embedded, um/px; paper: 0.5 (20x)."""
    device: Device = "auto"
    """Where steps compute that ask for a GPU (`embed_patches`, both trainings). `auto`: on a GPU
    where the job has one, else on the CPU; a GPU that is there and cannot be used is an error.
    `gpu`: a job without a usable GPU is an error. `cpu`: on the CPU always."""
    segment: SegmentConfig = SegmentConfig()
    tile: TileConfig = TileConfig()
    embed: EmbedConfig = EmbedConfig()
    pretrain: PretrainConfig = PretrainConfig()
    probe: ProbeConfig = ProbeConfig()
    tasks: dict[TaskName, TaskConfig] = Field(default_factory=dict)
    """Prediction tasks by name; see below."""
    knn: KnnConfig = KnnConfig()
    attend: AttendConfig = AttendConfig()
    export: ExportConfig = ExportConfig()
    report: ReportConfig = ReportConfig()

    @property
    def knn_tasks(self) -> tuple[str, ...]:
        """The tasks in which nearest neighbours vote, in the order of `tasks`."""
        named = self.knn.tasks
        if named is not None:
            return tuple(name for name in self.tasks if name in named)
        return tuple(name for name, task in self.tasks.items() if task.kind == "classification")

    @model_validator(mode="after")
    def _whole_shifts(self) -> Self:
        if self.tile.grid % self.attend.shifts:
            raise ValueError(
                f"attend.shifts ({self.attend.shifts}) must divide the {self.tile.grid} patches "
                "along a region's side"
            )
        patches = self.embed.patches
        if self.attend.cells and (patches.encoder != "hipt" or patches.features is not None):
            made = patches.encoder if patches.features is None else "imported features"
            raise ValueError(
                f"attend.cells: only encoder: hipt shows its cells, and not {made}; set it to 0"
            )
        own_size = patches.input_px in (None, self.tile.patch_px) and patches.resize_px is None
        if self.attend.cells and not own_size:
            raise ValueError(
                "attend.cells: cells are shown of patches in their own size; set it to 0, or leave "
                "out embed.patches.input_px and resize_px"
            )
        return self

    @model_validator(mode="after")
    def _without_stage_2(self) -> Self:
        if self.embed.regions.pool is None:
            return self
        why = "there is no stage 2 (embed.regions.pool: mean)"
        if self.attend.cells:
            raise ValueError(f"attend.cells: {why} whose cells could be shown; set it to 0")
        if self.attend.shifts > 1:
            raise ValueError(f"attend.shifts: {why} to look at shifted grids; set it to 1")
        for name, task in self.tasks.items():
            if "hipt_finetuned" in task.models:
                raise ValueError(
                    f"tasks.{name}.models: {why} that hipt_finetuned could go on with; leave it "
                    "out (hipt_scratch trains one of its own)"
                )
        return self

    @model_validator(mode="after")
    def _neighbours(self) -> Self:
        for name in self.knn.tasks or ():
            if name not in self.tasks:
                known = ", ".join(self.tasks) or "none"
                raise ValueError(f"knn.tasks: there is no task '{name}' (found: {known})")
            if self.tasks[name].kind != "classification":
                raise ValueError(
                    f"knn.tasks: neighbours vote on classes, and '{name}' is a survival task; "
                    "leave it out"
                )
        if "patch" in self.knn.levels:
            for name in self.knn_tasks:
                if self.tasks[name].features is not None:
                    raise ValueError(
                        f"knn.levels: patch needs the workflow's own embeddings, and '{name}' "
                        "takes a file; leave patch out, or the task by knn.tasks"
                    )
        return self
