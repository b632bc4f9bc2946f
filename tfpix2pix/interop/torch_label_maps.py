"""What the networks of pix2pixHD see of a label map: classes, the borders of instances, and their features.

The channels have this order, and the discriminator sees the image instead of the features. In the original
code the channel of a class is its id, from 0 to `label_nc` - 1; here it is its place in the palette.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfpix2pix.config.config import Config
from tfpix2pix.interop.torch_names import Table, Unet
from tfpix2pix.interop.torch_residual_names import Discriminator, FeatureEncoder, ResidualGenerator
from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.catalogue import find_dataset
from tfpix2pix.pipelines.labels.id_maps import find_classes
from tfpix2pix.pipelines.meaning import Meaning, Palette, Side
from tfpix2pix.pipelines.tasks.registry import ONE_HOT

COLOURS = 3  # channels of a label map that is seen as a picture
# What the names of the kernels end with that convolve the input of a generator, or of a discriminator.
_READ_INPUT = ("first_conv/kernel", "patch_1_conv/kernel")


@dataclasses.dataclass(frozen=True)
class LabelMaps:
    """What a generator sees of its input images.

    Attributes:
      channels: channels of the input images, or one for each class.
      classes: for each class, its channel there; empty for pictures.
      boundaries: whether there is a channel of the borders of instances.
      features: channels of features of instances.
    """

    channels: int
    classes: tuple[int, ...] = ()
    boundaries: bool = False
    features: int = 0

    @property
    def judged(self) -> int:
        """How many channels a discriminator sees beside those of an image."""
        return self.channels + self.boundaries

    @property
    def seen(self) -> int:
        """How many channels a generator sees."""
        return self.judged + self.features

    @property
    def flags(self) -> str:
        """The flags for such inputs in pix2pixHD's code; those of pictures alone are the reference's too."""
        if not (self.classes or self.boundaries):
            return f"--input_nc {self.channels}"
        classes = (
            f"--label_nc {self.channels}" if self.classes else f"--label_nc 0 --input_nc {self.channels}"
        )
        borders = "" if self.boundaries else " --no_instance"
        features = f" --instance_feat --feat_num {self.features}" if self.features else ""
        return f"{classes}{borders}{features}"

    def arrange(self, table: Table) -> Table:
        """Returns the places of a network's weights with the order in which its first kernels see classes."""
        if self.classes == tuple(range(len(self.classes))):
            return table
        return {
            theirs: place._replace(inputs=self.classes) if place.ours.endswith(_READ_INPUT) else place
            for theirs, place in table.items()
        }

    def settings(self) -> dict[str, Any]:
        """Returns the settings of a run that files decide."""
        if not (self.classes or self.boundaries or self.features):
            return {"input_channels": self.channels}
        return {
            "input_channels": COLOURS,
            "boundaries": self.boundaries,
            "instance_features": self.features,
        }


def describe_label_maps(config: Config, palette: Palette | None, meaning: Meaning) -> LabelMaps:
    """Returns what the generator of a run sees.

    Args:
      config: the settings of the run.
      palette: the classes of its label maps, if it encodes them.
      meaning: what its images stand for.
    """
    if config.input_encoding != ONE_HOT or palette is None:
        return LabelMaps(config.input_channels, (), config.boundaries, config.instance_features)
    ids = meaning.input.ids if meaning.input else ()
    classes = _channels_of(ids or range(len(palette)))
    return LabelMaps(len(classes), classes, config.boundaries, config.instance_features)


def find_palette(given: Mapping[str, Any], has_encoder: bool) -> Palette | None:
    """Returns the classes of the label maps of a new run; None if its inputs are no label maps.

    Args:
      given: settings of the run, of which `input_encoding` and `boundaries` tell of label maps.
      has_encoder: whether there is an encoder of features, which tells of them too.

    Raises:
      UsageError: if the classes are not known.
    """
    if given.get("input_encoding") != ONE_HOT and not given.get("boundaries") and not has_encoder:
        return None
    places = {name: given[name] for name in ("data_dir", "pairs") if given.get(name)}
    palette = datasets.find_classes(given["dataset"], **places)
    if palette is None and "data_dir" in places:  # which needs no images
        palette = find_classes(find_dataset(given["dataset"]), Path(places["data_dir"]))
    if palette is None:
        raise UsageError(
            "a model of label maps takes their classes: give as `data_dir` a folder with a palette.json, "
            'such as {"unlabeled": 0, "car": 1, "void": [[255, 255, 255]]}, of as many classes as the model '
            f"was trained with, or a `dataset` of known classes. Received: `dataset={given['dataset']}`"
        )
    return palette


def find_label_maps(
    networks: tuple[Unet | ResidualGenerator, Discriminator | None, FeatureEncoder | None],
    palette: Palette | None,
    given: Mapping[str, Any],
) -> LabelMaps:
    """Finds what a generator of pix2pixHD sees, by the channels of the networks.

    Args:
      networks: generator, discriminator and encoder of features; those without a file are None.
      palette: what `find_palette` returned.
      given: settings of the run.

    Raises:
      UsageError: if the classes are not those of the networks.
    """
    generator, judge, encoder = networks
    if palette is None:
        return LabelMaps(generator.input_channels)
    classes = _channels_of(palette.ids) if given.get("input_encoding") == ONE_HOT else ()
    channels = len(classes) or COLOURS
    beyond = generator.input_channels - channels
    features = encoder.output_channels if encoder else max(0, beyond - 1)
    sees_input = judge is not None and judge.channels > generator.output_channels
    if judge is not None and sees_input and encoder is None:
        features = generator.input_channels - (judge.channels - generator.output_channels)
    if beyond - features not in (0, 1) or features < 0:
        told = f"{channels} classes" if classes else f"{channels} channels of a label map in colours"
        raise UsageError(
            f"a {generator} does not fit {told} with a channel of borders and {features} features of "
            "instances: give `input_encoding=one_hot`, and as `data_dir` a folder with a palette.json of as "
            "many classes as the model was trained with, which pix2pixHD's code calls label_nc"
        )
    return LabelMaps(channels, classes, beyond > features, features)


def imported_meaning(palette: Palette, config: Config) -> Meaning:
    """Returns what the images of a run of imported weights stand for: label maps of ids, and photos."""
    label_maps = Side(COLOURS, "uint8", palette=palette, ids=palette.ids, instances=config.boundaries)
    return Meaning(label_maps, Side(config.output_channels, "uint8"))


def _channels_of(ids: Sequence[int]) -> tuple[int, ...]:
    """Returns the channel of each class there: its id if these are 0 to K - 1; else its place."""
    places = range(len(ids))
    return tuple(ids if sorted(ids) == list(places) else places)
