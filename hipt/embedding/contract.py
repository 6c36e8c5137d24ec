"""What a published encoder's card asks for and what it got, and what to know of it before a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import Preset, presets, published
from hipt.embedding.encoder_input import EncoderInput
from hipt.embedding.recorded_input import card_text, values_text
from hipt.errors import HiptError
from hipt.nn.preprocessing import PatchInput

NEAR = 0.05
"""How far from a card's resolution patches may be, as a share: scanners round theirs."""

CHOSEN = ("input_px", "resize_px", "interpolation", "mean", "std", "pooling")
"""Keys of a card, and of embed.patches, that say what a network takes and gives."""


@dataclass(frozen=True)
class Patches:
    """What is embedded, and with which weights."""

    px: int
    """Side of a patch."""
    mpp: float
    """um/px."""
    weights: str
    """The weights' identity: a sha256, `random:SEED`, ..."""


def contract(cfg: PatchEncoderConfig, given: PatchInput, patches: Patches) -> dict[str, Any]:
    """What the card of the encoder asks for and what it got, fit for JSON.

    Args:
        cfg: of the patch encoder.
        given: what the encoder takes and gives.
        patches: what is embedded.

    Returns:
        `encoder`, `requested` and `given` by the same keys, and `deviations` in words. Empty where
        the encoder has no card, or is one of HIPT's that is not the released one.
    """
    card = _card(cfg, patches)
    if card is None:
        return {}
    taken = asdict(given) | {"input_px": given.px}
    return {
        "encoder": card.name,
        "requested": {"mpp": list(card.mpp)} | _values(card.model_dump()),
        "given": {"mpp": patches.mpp} | _values(taken),
        "deviations": list(_deviations(card, cfg, taken, patches)),
    }


def notes(cfg: PatchEncoderConfig, given: EncoderInput, patches: Patches) -> Iterator[str]:
    """What a user should know before hours are spent.

    Args:
        cfg: of the patch encoder.
        given: what the encoder takes and gives.
        patches: what is embedded.
    """
    yield from contract(cfg, given, patches).get("deviations", ())
    others = [presets()[name] for name in published(patches.weights) if name != cfg.encoder]
    if cfg.preset is None and others:
        yield (
            f"the weights are the published file of {others[0].name}, whose card asks for "
            f"{card_text(others[0].model_dump())}; encoder: {others[0].name} gives it that"
        )
    if given.generic and cfg.weights is not None:
        yield (
            f"mean and std are {given.colours_from}, timm's default for the name {cfg.encoder}; "
            "weights of another origin need not share it (UNI is normalised by ImageNet's): name "
            "a published encoder (`hipt encoders`), or set embed.patches.mean and std as the "
            "weights' model card does"
        )
    side = given.resize_px or given.px or patches.px
    if side > patches.px:
        yield (
            f"patches are enlarged from {patches.px} to {side} px, which adds work and no detail; "
            "if the weights' model card names another side, set embed.patches.input_px"
        )
    if cfg.encoder_args.get("num_classes"):
        yield (
            "encoder_args.num_classes is not used: a vector is what the network's classifier "
            "would be given"
        )


def refuse_unstated_side(cfg: PatchEncoderConfig, given: EncoderInput, patch_px: int) -> None:
    """Refuse to enlarge patches for a network that takes any side, where nothing states one.

    Raises:
        HiptError: if timm's config for the name is all that says so.
    """
    dynamic = bool(cfg.encoder_args.get("dynamic_img_size"))
    if dynamic and given.px_from == "timm's config" and (given.px or 0) > patch_px:
        raise HiptError(
            f"embed.patches: {cfg.encoder} takes pictures of any side (dynamic_img_size), and timm "
            f"would have {given.px} px for patches of {patch_px}; name a published encoder (`hipt "
            f"encoders`), or set input_px as the weights' model card does: 224 mostly, {given.px} "
            "to enlarge them"
        )


def _card(cfg: PatchEncoderConfig, patches: Patches) -> Preset | None:
    """The card that holds; HIPT's holds for its released weights alone."""
    own = cfg.encoder == "hipt" and "hipt" not in published(patches.weights)
    return None if own else cfg.preset


def _values(row: dict[str, Any]) -> dict[str, Any]:
    """What may be chosen of a card, as JSON has it."""
    chosen = {name: row[name] for name in CHOSEN}
    return {name: list(x) if isinstance(x, tuple) else x for name, x in chosen.items()}


def _deviations(
    card: Preset, cfg: PatchEncoderConfig, taken: dict[str, Any], patches: Patches
) -> Iterator[str]:
    """Where what a network got is not what its card asks for, in words."""
    if card.mpp and not any(abs(patches.mpp / mpp - 1) <= NEAR for mpp in card.mpp):
        wanted = " or ".join(f"{mpp:g}" for mpp in card.mpp)
        yield f"{card.name}'s card asks for {wanted} um/px, and patches have {patches.mpp:g}"
    pairs = [(name, taken[name], getattr(card, name)) for name in CHOSEN]
    by_hand = cfg.encoder_args.items()
    pairs += [(f"encoder_args.{name}", x, card.arguments.get(name)) for name, x in by_hand]
    for name, value, wanted in pairs:
        if value != wanted:
            text = values_text(wanted)
            yield f"{name} is {values_text(value)}, where {card.name}'s card has {text}"
    if card.sha256 and cfg.weights is not None and patches.weights not in card.sha256:
        yield (
            f"the weights file is none of {card.name}'s published ones that are known (its sha256 "
            f"begins with {patches.weights[:12]}); see `hipt encoders show {card.name}`"
        )
