"""What a training step asks of its networks; what does not fit is told before a step is taken."""

import keras

from tfpix2pix.config.choices import OBJECTIVES


def check_networks(objective: str, generator: keras.Model, discriminator: keras.Model | None) -> None:
    """Raises ValueError for networks that pix2pix cannot train.

    Args:
      objective: one of `choices.OBJECTIVES`.
      generator: must be `[input_image, noise_seed] -> generated_image`.
      discriminator: must judge patches, and see the images of the generator; with a conditional objective its
        inputs too. Must be None for the objective `l1`.
    """
    _check_objective(objective, discriminator)
    for network in filter(None, (generator, discriminator)):
        if not network.built:
            raise ValueError(
                f"{network.name} has no weights yet, so nothing could be trained: call it with a batch first"
            )
    # Models that are not functional tell no shapes.
    inputs, outputs = (getattr(generator, name, None) for name in ("inputs", "outputs"))
    if not inputs or not outputs:
        return
    if len(inputs) != 2:
        raise ValueError(
            "a generator takes [input_image, noise_seed], also where it has no noise. "
            f"Received: {generator.name} with {len(inputs)} inputs"
        )
    _check_maps(generator, "one image [B, H, W, C]", only_one=True)
    if discriminator is not None:
        _check_maps(discriminator, "logits of patches [B, h, w, 1]")
        seen = [inputs[0], outputs[0]][-len(discriminator.inputs) :]
        for its, ours, what in zip(discriminator.inputs[::-1], seen[::-1], ("output", "input"), strict=False):
            if None not in (channels := (its.shape[-1], ours.shape[-1])) and channels[0] != channels[1]:
                raise ValueError(
                    f"{discriminator.name} must see images of {channels[1]} channels, as they are the "
                    f"generator's {what}. Received: {channels[0]} channels"
                )


def _check_maps(network: keras.Model, wanted: str, only_one: bool = False) -> None:
    shapes = [tuple(output.shape) for output in network.outputs]
    if any(len(shape) != 4 for shape in shapes) or (only_one and len(shapes) > 1):
        raise ValueError(
            f"{network.name} must return {wanted}. Received: a network that returns "
            + " and ".join(map(str, shapes))
        )


def _check_objective(objective: str, discriminator: keras.Model | None) -> None:
    if objective not in OBJECTIVES:
        raise ValueError(f"objective must be one of {OBJECTIVES}. Received: objective={objective!r}")
    needs_inputs = 2 if "cgan" in objective else 1 if "gan" in objective else 0
    has_inputs = len(discriminator.inputs) if discriminator is not None else 0
    if needs_inputs != has_inputs:
        wanted = {0: "no discriminator", 1: "one of the target alone", 2: "a conditional one"}
        raise ValueError(
            f"objective={objective!r} takes {wanted[needs_inputs]}. "
            f"Received: a discriminator with {has_inputs} inputs"
        )
