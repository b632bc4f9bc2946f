"""Whether images are those of the catalogue's dataset whose name they were given."""

from tfpix2pix.config.config import Config
from tfpix2pix.metrics.label_maps import find_label_side
from tfpix2pix.pipelines.catalogue import CATALOGUE
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.palettes import dataset_palette


def find_misfit(config: Config, train_source: Source, val_source: Source) -> str | None:
    """Returns what tells images from the catalogue's dataset of that name, and what to do about it.

    Args:
      config: names the dataset and the direction.
      train_source: the training split.
      val_source: the validation split.

    Returns:
      A warning; None if the images fit, or if the name is not in the catalogue.
    """
    spec = CATALOGUE.get(config.dataset)
    if spec is None or spec.draw_pair:
        return None
    sources = {"train": train_source, "val": val_source}
    found = {split: len(source) + len(source.skipped) for split, source in sources.items()}
    faults = [
        f"{split}/ holds {count} examples instead of {spec.counts[split]}"
        for split, count in found.items()
        if count != spec.counts.get(split, count)
    ]
    if spec.palette and not train_source.task.from_photos:
        expected = "input" if config.direction == "BtoA" else "target"  # label maps are on the right
        side = find_label_side(train_source, dataset_palette(spec))
        if side is None:
            faults.append("neither image of the first pair has the colours of its label maps")
        elif side != expected:
            faults.append("its label maps would be on the right, and they are on the left")
    if not faults:
        return None
    colours = ", and for the classes and colours of its label maps" if spec.palette else ""
    return (
        f"the images in {config.data_dir} are not those of {spec.name}: {'; '.join(faults)}. Its name stands "
        f"for the direction {spec.direction}, the paper's recipe of {spec.recipe.epochs} epochs with batches "
        f"of {spec.recipe.batch_size}{colours}, as far as nothing else is given. Give images of your own a "
        f"name of their own, such as `dataset=my_{spec.name}`"
    )
