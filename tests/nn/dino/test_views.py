"""Views of patches and grids: against torchvision, and their chances against the recipe."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import ks_2samp
from torchvision.transforms.v2 import InterpolationMode, RandomResizedCrop
from torchvision.transforms.v2 import functional as V

from hipt.config.pretraining import GridViewsConfig, PatchViewsConfig
from hipt.nn.dino import views
from hipt.nn.dino.colours import draw_colours
from hipt.nn.dino.views import (
    GridViews,
    PatchViews,
    column_major,
    crop_grid,
    crop_resize,
    draw_boxes,
    draw_corners,
    draw_flips,
    draw_kept,
    drop,
)

SMALL = PatchViewsConfig(global_px=32, local_px=16, local_crops=3)
PLAIN = PatchViewsConfig(
    global_px=32, local_px=16, jitter=0, grayscale=0, blur=(0, 0, 0), solarise=0
)
HALF = (0.5, 0.5, 0.5)
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def patches(count: int, height: int = 64, width: int = 64) -> torch.Tensor:
    """Smooth colours with noise, and pure noise in every second one."""
    coarse = torch.rand(count, 3, 5, 5, generator=seeded(1))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    noise = torch.rand(count, 3, height, width, generator=seeded(2))
    smooth[1::2] = noise[1::2]
    return (smooth * 255.99).to(torch.uint8).movedim(1, -1).contiguous()


def resized(image: torch.Tensor, box: torch.Tensor, size: int) -> torch.Tensor:
    """Torchvision's crop of a float (3, H, W), cut to 0..1."""
    bicubic = InterpolationMode.BICUBIC
    out = V.resized_crop(image, *box.tolist(), [size, size], bicubic, antialias=True)
    return out.clamp(0, 1)


def moved(x: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """(..., n, n) left to right, upside down, rows to columns."""
    x = x.flip(-1) if flips[0] else x
    x = x.flip(-2) if flips[1] else x
    return x.mT if flips[2] else x


ALL_FLIPS = torch.tensor([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]).bool()
NO_FLIPS = torch.zeros(1, 3, dtype=torch.bool)


def cropped(
    images: torch.Tensor, boxes: torch.Tensor, flips: torch.Tensor, size: int
) -> torch.Tensor:
    """A box of each of (B, H, W, 3): (B, 3, size, size)."""
    return crop_resize(column_major(images), boxes, flips, size)


@pytest.mark.parametrize("size", [224, 96, 16])
@pytest.mark.parametrize("shape", [(256, 256), (100, 131)])
def test_crops_equal_torchvision(shape, size):
    images = patches(16, *shape)
    fixed = [[0, 0, *shape], [3, 5, 96, 96], [3, 5, 1, 1], [*shape, 0, 0], [7, 1, 48, 32]]
    fixed[3] = [shape[0] - 9, shape[1] - 20, 9, 20]  # in the corner, much enlarged
    boxes = torch.cat([torch.tensor(fixed), draw_boxes(11, shape, (0.05, 1.0), seeded())])
    got = cropped(images, boxes, draw_flips(16, 0.5, False, seeded(3)), size)
    mirrored = draw_flips(16, 0.5, False, seeded(3))
    for i, image in enumerate(images.movedim(-1, 1)):
        expected = moved(resized(image.float() / 255, boxes[i], size), mirrored[i])
        assert (got[i] - expected).abs().max() <= 5e-5  # an eightieth of an 8-bit step


def test_crops_of_smooth_images_equal_pil_up_to_its_rounding():
    """Noise overshoots 0..255; PIL cuts that off after either direction, we at the end."""
    images = patches(16, 256, 256)[::2]
    boxes = draw_boxes(8, (256, 256), (0.05, 1.0), seeded())
    got = cropped(images, boxes, NO_FLIPS.expand(8, 3), 96)
    for i, image in enumerate(images.movedim(-1, 1)):
        theirs = resized_by_pil(image, boxes[i].tolist(), 96)
        assert (got[i] * 255 - theirs).abs().max() <= 1.6


def resized_by_pil(image: torch.Tensor, box: list[int], size: int) -> torch.Tensor:
    picture = V.resized_crop(V.to_pil_image(image), *box, [size] * 2, InterpolationMode.BICUBIC)
    return V.pil_to_tensor(picture).float()


def test_all_mirrors_and_turns_of_a_crop():
    images = patches(1).expand(8, -1, -1, -1)
    boxes = torch.tensor([[4, 9, 50, 40]]).expand(8, 4)
    plain = cropped(images[:1], boxes[:1], NO_FLIPS, 32)[0]
    for x, flips in zip(cropped(images, boxes, ALL_FLIPS, 32), ALL_FLIPS, strict=True):
        assert (x - moved(plain, flips)).abs().max() <= 2e-5


def test_a_box_of_the_views_size_is_copied():
    images = patches(2)
    boxes = torch.tensor([[3, 8, 32, 32], [32, 32, 32, 32]])
    got = cropped(images, boxes, NO_FLIPS.expand(2, 3), 32)
    for x, image, (top, left, *_) in zip(got, images, boxes.tolist(), strict=True):
        cut = image[top : top + 32, left : left + 32].movedim(-1, 0)
        assert (x * 255 - cut).abs().max() <= 1e-3


def test_a_batch_of_crops_equals_its_samples():
    images = patches(9)
    boxes = draw_boxes(9, (64, 64), (0.05, 1.0), seeded())
    flips = draw_flips(9, 0.5, True, seeded())
    batch = cropped(images, boxes, flips, 48)
    for i in range(9):
        rows = slice(i, i + 1)
        alone = cropped(images[rows], boxes[rows], flips[rows], 48)
        assert (batch[rows] - alone).abs().max() <= 1e-6


@pytest.mark.parametrize("scale", [(0.4, 1.0), (0.05, 0.4)])
@pytest.mark.parametrize("size", [(256, 256), (100, 300)])
def test_boxes_are_distributed_as_torchvisions(scale, size):
    ours = draw_boxes(2000, size, scale, seeded()).double()
    assert ours.min() >= 0
    assert ((ours[:, :2] + ours[:, 2:]) <= torch.tensor(size)).all()
    crop = RandomResizedCrop(8, scale=scale)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [crop.make_params([torch.empty(3, *size)]) for _ in range(2000)]
    theirs = torch.tensor([[d[k] for k in ("top", "left", "height", "width")] for d in drawn])
    for measure in (
        lambda b: b[:, 0],
        lambda b: b[:, 1],
        lambda b: b[:, 2] * b[:, 3],
        lambda b: b[:, 2] / b[:, 3],
        lambda b: b[:, 0] / (size[0] - b[:, 2]).clamp_min(1),
    ):
        assert ks_2samp(measure(ours), measure(theirs.double())).pvalue > 1e-3


def test_the_area_of_small_boxes_is_uniform():
    boxes = draw_boxes(20_000, (256, 256), (0.05, 0.4), seeded()).double()
    share = boxes[:, 2] * boxes[:, 3] / 256**2
    for tenth in range(10):
        low = 0.05 + 0.035 * tenth
        inside = ((share >= low) & (share < low + 0.035)).sum()
        assert abs(int(inside) - 2000) <= 5 * math.sqrt(2000 * 0.9)
    ratio = (boxes[:, 3] / boxes[:, 2]).log()
    assert ratio.abs().max() <= math.log(4 / 3) + 0.02
    assert abs(float(ratio.mean())) <= 5 * 0.166 / math.sqrt(20_000)


@pytest.mark.parametrize("size", [(10, 1000), (1000, 10), (64, 64)])
def test_without_a_fitting_box_the_middle_is_taken(size):
    scale = (1.0, 1.0) if size != (64, 64) else (1e-9, 1e-8)
    crop = RandomResizedCrop(8, scale=scale)
    theirs = crop.make_params([torch.empty(3, *size)])
    expected = [theirs[k] for k in ("top", "left", "height", "width")]
    assert draw_boxes(5, size, scale, seeded()).tolist() == [expected] * 5


@pytest.mark.parametrize("flip", [0.5, 0.2, 0.0, 1.0])
def test_mirrors_have_the_recipes_probability(flip):
    flips = draw_flips(20_000, flip, False, seeded())
    assert not flips[:, 1:].any()
    expected = 20_000 * flip
    assert abs(int(flips[:, 0].sum()) - expected) <= 5 * math.sqrt(expected * (1 - flip))


def test_with_rotate_all_eight_positions_are_equally_likely():
    result, counts = draw_flips(20_000, 0.5, True, seeded()).unique(dim=0, return_counts=True)
    assert len(result) == 8
    assert (counts - 2500).abs().max() <= 5 * math.sqrt(2500)


def test_with_rotate_alone_the_four_turns_are_equally_likely():
    result, counts = draw_flips(20_000, 0.0, True, seeded()).unique(dim=0, return_counts=True)
    marked = torch.arange(4).view(2, 2)
    got = {tuple(moved(marked, flips).flatten().tolist()) for flips in result}
    assert got == {tuple(marked.rot90(k).flatten().tolist()) for k in range(4)}
    assert (counts - 5000).abs().max() <= 5 * math.sqrt(5000)


def test_views_have_the_recipes_sizes():
    views = PatchViews(PatchViewsConfig(), HALF, HALF)(patches(2, 256, 256), seeded())
    assert [tuple(v.shape) for v in views] == [(2, 3, 224, 224)] * 2 + [(2, 3, 96, 96)] * 8
    assert all(v.dtype == torch.float32 and v.is_contiguous() for v in views)


def test_views_without_colours_are_normalised_crops():
    images, mean, std = patches(5), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    views = PatchViews(PLAIN, mean, std)(images, seeded())
    again = seeded()
    sizes = {0: (1, (0.4, 1.0), 32), 1: (1, (0.4, 1.0), 32), 2: (8, (0.05, 0.4), 16)}
    expected = []
    for view, (number, scale, side) in sizes.items():
        boxes = draw_boxes(5 * number, (64, 64), scale, again)
        flips = draw_flips(5 * number, 0.5, False, again)
        draw_colours(PLAIN, view, 5 * number, again)
        expected += cropped(images, boxes, flips, side).split(5)
    for got, crop in zip(views, expected, strict=True):
        normalised = (crop - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        assert (got - normalised).abs().max() <= 5e-6


def test_views_differ_from_each_other_and_between_samples():
    views = PatchViews(PLAIN, HALF, HALF)(patches(1).expand(3, -1, -1, -1), seeded())
    local = torch.cat(views[2:])
    assert len(local.flatten(1).unique(dim=0)) == 24
    assert not torch.equal(views[0], views[1])


def test_the_same_seed_gives_the_same_views():
    images, make, state = patches(5), PatchViews(SMALL, HALF, HALF), torch.get_rng_state()
    a, b, c = (make(images, seeded(s)) for s in (1, 1, 2))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not any(torch.equal(x, y) for x, y in zip(a, c, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_views_do_not_depend_on_what_is_worked_on_together(monkeypatch):
    images, make = patches(7), PatchViews(SMALL, HALF, HALF)
    results = []
    for part in (1, 3, 100):
        monkeypatch.setitem(views.PART, "cpu", part)
        results.append(make(images, seeded()))
    for same in zip(*results, strict=True):
        unequal = [(v - same[0]).abs() > 1e-5 for v in same]
        assert not any(u.any() for u in unequal)


@pytest.mark.parametrize("value", [0, 255])
def test_a_patch_of_one_value_gives_finite_views(value):
    images = torch.full((40, 64, 64, 3), value, dtype=torch.uint8)
    for view in PatchViews(SMALL, HALF, HALF)(images, seeded()):
        assert view.isfinite().all()
        assert view.abs().max() <= 1 + 1e-5


def test_a_blur_wider_than_a_view_is_cut_off():
    cfg = SMALL.model_copy(update={"blur_sigma": (10.0, 10.0), "blur": (1, 1, 1)})
    assert all(v.isfinite().all() for v in PatchViews(cfg, HALF, HALF)(patches(2), seeded()))


def test_without_small_views_there_are_two():
    cfg = SMALL.model_copy(update={"local_crops": 0})
    assert len(PatchViews(cfg, HALF, HALF)(patches(2), seeded())) == 2
    assert [len(v) for v in PatchViews(cfg, HALF, HALF)(patches(0), seeded())] == [0, 0]


@CUDA
def test_views_on_a_gpu_equal_those_on_a_cpu():  # pragma: no cover
    images, make = patches(9), PatchViews(SMALL.model_copy(update={"rotate": True}), HALF, HALF)
    ours, theirs = make(images, seeded()), make(images.cuda(), seeded())
    for a, b in zip(ours, theirs, strict=True):
        close = (a - b.cpu()).abs() <= 0.01  # blur may use TF32; beside a threshold, solarise jumps
        assert close.float().mean() > 0.999
    on_gpu = make(images.cuda(), torch.Generator("cuda").manual_seed(0))
    assert all(v.is_cuda and v.isfinite().all() for v in on_gpu)


def numbered(count: int, side: int = 16) -> torch.Tensor:
    """(B, 3, side, side): a cell's row, its column, and its sample."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    one = torch.stack([rows, columns, torch.zeros_like(rows)]).float()
    return one + torch.arange(count).view(-1, 1, 1, 1) * torch.tensor([0, 0, 1]).view(3, 1, 1)


@pytest.mark.parametrize("rotate", [False, True])
def test_every_grid_view_is_a_part_of_its_grid(rotate):
    grids = numbered(200)
    cfg = GridViewsConfig(dropout=0, rotate=rotate)
    seen = set()
    for view, side in zip(GridViews(cfg)(grids, seeded()), [14] * 2 + [6] * 8, strict=True):
        assert view.shape == (200, 3, side, side)
        assert torch.equal(view[:, 2], grids[:, 2, :side, :side])
        for x in view[:, :2]:
            top, left = int(x[0].min()), int(x[1].min())
            part = grids[0, :2, top : top + side, left : left + side]
            fits = [torch.equal(x, moved(part, flips)) for flips in ALL_FLIPS]
            assert sum(fits) == 1
            seen.add(fits.index(True))
    assert seen == (set(range(8)) if rotate else {0, 4})


def test_every_place_in_a_grid_is_equally_likely():
    for side, places in ((14, 9), (6, 121), (16, 1)):
        corners = draw_corners(100 * places, (16, 16), side, seeded())
        result, counts = corners.unique(dim=0, return_counts=True)
        assert len(result) == places
        assert (counts - 100).abs().max() <= 50


def test_grids_need_not_be_square():
    corners = draw_corners(500, (6, 9), 5, seeded())
    assert corners.amax(0).tolist() == [1, 4]
    grids = torch.arange(54.0).view(1, 1, 6, 9)
    assert torch.equal(crop_grid(grids, torch.tensor([[1, 4]]), NO_FLIPS, 5), grids[..., 1:6, 4:9])


def test_a_mirrored_vector_keeps_its_content():
    grids = torch.randn(1, 7, 6, 6, generator=seeded())
    got = crop_grid(grids, torch.zeros(1, 2, dtype=torch.long), ALL_FLIPS[4:5], 6)
    assert torch.equal(got[..., 0], grids[..., 5])


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_dropout_has_the_recipes_share_and_scale(dropout):
    grids = torch.full((30, 20, 16, 16), 2.0)
    views = GridViews(GridViewsConfig(dropout=dropout))(grids, seeded())
    for view in views:
        lost, n = int((view == 0).sum()), view.numel()
        assert abs(lost - n * dropout) <= 5 * math.sqrt(n * dropout * (1 - dropout))
        assert view[view != 0].unique().tolist() == pytest.approx([2 / (1 - dropout)])
    masks = [view[..., :6, :6] == 0 for view in views]
    assert not torch.equal(masks[2], masks[3])
    assert not torch.equal(masks[2][0], masks[2][1])


def test_dropout_for_a_given_choice():
    kept = torch.tensor([1.0, 0.0])
    assert drop(torch.tensor([3.0, 3.0]), kept, 0.25).tolist() == [4.0, 0.0]
    assert kept.tolist() == [1.0, 0.0]
    assert draw_kept((50,), 0.0, seeded()).min() == 1


def test_swapped_means_leave_what_differs_inside_a_region_and_take_what_it_shares():
    grids = torch.randn(6, 5, 16, 16, generator=seeded())
    stain = torch.randn(6, 5, 1, 1, generator=seeded()) * 10
    cfg = GridViewsConfig(dropout=0, flip=0, global_side=16, local_crops=0, swap_means=True)
    means = (grids + stain).mean((2, 3))
    for view in GridViews(cfg)(grids + stain, seeded()):  # the whole grid, in its place
        shift = view - (grids + stain)
        assert torch.allclose(shift, shift[:, :, :1, :1].expand_as(shift), rtol=0, atol=1e-5)
        whose = (view.mean((2, 3))[:, None] - means).abs().sum(2).argmin(1)
        assert sorted(whose.tolist()) == list(range(6))
        assert whose.tolist() != list(range(6))
        assert torch.allclose(view.mean((2, 3)), means[whose], rtol=0, atol=1e-4)


def test_swapped_means_differ_from_view_to_view():
    grids = torch.zeros(6, 5, 16, 16) + torch.randn(6, 5, 1, 1, generator=seeded())
    views = GridViews(GridViewsConfig(dropout=0, swap_means=True))(grids, seeded())
    assert len({tuple(view[:, 0, 0, 0].tolist()) for view in views}) > 5


def test_the_same_seed_gives_the_same_grid_views():
    grids, make = torch.randn(4, 5, 16, 16, generator=seeded()), GridViews(GridViewsConfig())
    a, b, c = (make(grids, seeded(s)) for s in (1, 1, 2))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not any(torch.equal(x, y) for x, y in zip(a, c, strict=True))


def test_a_grid_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match=r"4 x 4 patches is smaller than a view of 14 x 14: set g"):
        GridViews(GridViewsConfig())(torch.zeros(1, 2, 4, 4), seeded())
    cfg = GridViewsConfig(global_side=4)
    with pytest.raises(ValueError, match=r"view of 6 x 6: set local_side to at most 4"):
        GridViews(cfg)(torch.zeros(1, 2, 4, 4), seeded())
    alone = cfg.model_copy(update={"local_crops": 0})
    assert len(GridViews(alone)(torch.zeros(1, 2, 4, 4), seeded())) == 2
