"""The tasks: how images become input and target of the network, and how its output becomes a picture.

A task speaks of examples and pictures. An example is what the network needs: `input_image`, in training
`target_image`, and for inpainting `mask`, float32 [..., H, W, 1], which is 1 in the hole. A picture is
what a person gives or gets: an image of a pair, a photo to be coloured, a photo with transparent holes,
a drawing. All tensors are float32 in [-1, 1], with or without a batch dimension. Ids of instances are a last
channel, from 0 as -1 to 65,535 as 1. Tasks use TensorFlow operations only, so that a SavedModel holds its
task.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfpix2pix.pipelines.base import homes
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.tasks import lab, registry
from tfpix2pix.pipelines.tasks.drawings import draw_edges
from tfpix2pix.pipelines.tasks.holes import center_mask, random_mask
from tfpix2pix.pipelines.tasks.transforms import Size, resize, resize_nearest

Example = dict[str, tf.Tensor]

# In CIE Lab, lightness is in [0, 100], and a and b of sRGB colours are within about 110 of 0.
_HALF_LIGHTNESS = 50.0
_CHROMA = 110.0
# A pixel of which less than this share lies in a hole is known. It is more than errors of rounding, and too
# little to be seen.
_LEAST_HOLE_SHARE = 1e-3


class Task:
    """Pairs: the two images of a pair are input and target as they are. Base of the other tasks.

    A subclass has a `name`, and an entry of that name in `registry.TASKS`, which tells the rest: the
    channels, the options, and whether the task learns from photos.

    Args:
      channels: number of channels of input and target pictures, where the entry leaves them free.
      **options: the task's own settings, as the entry lists them.

    Attributes:
      name: value of the setting `task`.
      channels: number of channels of the network's input and target images.
      picture_channels: number of channels of the pictures that go in, and of those that come out.
      from_photos: whether the source holds single photos, and not pairs.
      has_instances: whether the last channel of the network's input holds ids of instances.
      options: the task's own settings and their values.
      resize_method: how pictures are resized, a value of `registry.RESIZE_METHODS`; `make_task` sets it.
      draw_input: NumPy function that draws the input image, uint8 RGB [H, W, 3], from a photo,
        uint8 or uint16 RGB [H, W, 3], when its file is read: for what TensorFlow operations
        cannot do. None where there is no such step.
    """

    name = "pairs"
    resize_method = registry.BILINEAR
    draw_input: Callable[[Any], Any] | None = None

    def __init__(self, channels: registry.Channels = (3, 3), **options: Any):
        spec = registry.find_task(self.name)
        self.options = spec.choose_options(options)
        for name, choices in spec.options.items():
            if self.options[name] not in choices:
                raise UsageError(
                    f"`{name}` must be one of {', '.join(map(str, choices))}. Received: {self.options[name]}"
                )
        self.from_photos = spec.from_photos
        self.has_instances: bool = self.options.get("boundaries", False)
        self.picture_channels = spec.find_channels(options) or channels
        self.channels = (self.picture_channels[0] + self.has_instances, self.picture_channels[1])

    @property
    def settings(self) -> dict[str, Any]:
        """All that `make_task` takes to make the task again, but its name and its channels."""
        return {**self.options, "resize_method": self.resize_method}

    def resize(self, image: tf.Tensor, size: Size | tf.Tensor) -> tf.Tensor:
        """Resizes a picture, such as a target image, as `transforms.resize` does by the task's method."""
        return resize(image, size, self.resize_method)

    def resize_input(self, image: tf.Tensor, size: Size | tf.Tensor) -> tf.Tensor:
        """Resizes an input image; label maps that are encoded to the nearest pixel, which mixes no classes.

        Args:
          image: [..., H, W, C], integers or floats.
          size: (height, width) in px, as two numbers or as int32 [2].

        Returns:
          float32 [..., height, width, C], in the range of `image`.
        """
        if self.has_instances or self.options.get("input_encoding") == registry.ONE_HOT:
            return tf.cast(resize_nearest(image, size), tf.float32)
        return self.resize(image, size)

    def make_example(self, images: tuple[tf.Tensor, ...], seed: tf.Tensor) -> Example:
        """Makes an example for training or evaluation.

        Args:
          images: the images that the source read, resized and mirrored, [H, W, C]: input and target,
            and perhaps the ids of instances; or one RGB photo.
          seed: int64 [2], from which all draws follow.
        """
        return {"input_image": self.add_instances(images[0], *images[2:]), "target_image": images[1]}

    def add_instances(self, picture: tf.Tensor, instances: tf.Tensor | None = None) -> tf.Tensor:
        """Returns a picture with the ids of its instances as a last channel, if the network has that channel.

        Args:
          picture: float32 [..., H, W, C] in [-1, 1].
          instances: ids in [-1, 1], float32 [..., H, W, 1]. None gives all pixels one id, for which
            `class_channels.BoundaryChannel` takes the classes.
        """
        if not self.has_instances:
            return picture
        none = -tf.ones_like(picture[..., :1])
        return tf.concat([picture, none if instances is None else instances], axis=-1)

    def read_picture(self, picture: tf.Tensor) -> Example:
        """Makes an example without a target from the picture that a person gives, [..., H, W, C].

        With a last channel for ids of instances or without it.
        """
        is_whole = picture.shape[-1] == self.channels[0]
        return {"input_image": picture if is_whole else self.add_instances(picture)}

    def resize_picture(self, picture: tf.Tensor, size: Size) -> tf.Tensor:
        """Resizes a picture that a person gives as evaluation resizes images.

        Args:
          picture: float32 [..., H, W, C].
          size: (height, width) in px.
        """
        return self.resize_input(picture, size)

    def complete(self, example: Example, generated_image: tf.Tensor) -> tf.Tensor:
        """Returns the picture that a person gets for the network's output.

        For `target_image` in place of the output it returns the picture that is hoped for.
        """
        return generated_image

    def show_input(self, example: Example) -> tf.Tensor:
        """Returns the input as a picture."""
        return example["input_image"][..., : self.picture_channels[0]]


class Colorize(Task):
    """Lightness goes in, and colour comes out, in CIE Lab: L / 50 - 1 and ab / 110.

    Source: Sec. 4, and the paper's own code.
    """

    name = "colorize"

    def __init__(self):
        super().__init__()
        self.picture_channels = (3, 3)

    def make_example(self, images, seed):
        """Splits the photo into lightness and colour."""
        colours = lab.rgb_to_lab((images[0] + 1) / 2)
        chroma = tf.clip_by_value(colours[..., 1:] / _CHROMA, -1.0, 1.0)
        return {"input_image": _lightness(colours), "target_image": chroma}

    def read_picture(self, picture):
        """Takes the lightness of a photo, whatever its colours."""
        return {"input_image": _lightness(lab.rgb_to_lab((picture + 1) / 2))}

    def complete(self, example, generated_image):
        """Joins the lightness that went in and the colours that came out, as RGB."""
        lightness = (example["input_image"] + 1) * _HALF_LIGHTNESS
        return lab.lab_to_rgb(tf.concat([lightness, generated_image * _CHROMA], axis=-1)) * 2 - 1

    def show_input(self, example):
        """Returns the lightness as a gray RGB picture."""
        lightness = example["input_image"]
        return self.complete(example, tf.zeros_like(tf.concat([lightness, lightness], axis=-1)))


def _lightness(colours: tf.Tensor) -> tf.Tensor:
    return colours[..., :1] / _HALF_LIGHTNESS - 1


class Inpaint(Task):
    """A photo with holes goes in, and the whole photo comes out. Holes are filled with 0, the middle gray.

    Args:
      hole: `center` cuts out one rectangle of half the height and half the width, as the paper does.
        `random` cuts out three rectangles anywhere. The network then gets the picture's alpha as a
        fourth channel, 1 where pixels are known and -1 in holes, because gray pixels of the photo
        could not be told from missing ones otherwise. A hole in the centre is always in the same
        place, so that three channels, as in the paper, suffice.

    Attributes:
      hole: the same.
    """

    name = "inpaint"

    def __init__(self, hole: str = "center"):
        super().__init__(hole=hole)
        self.hole = hole
        self.picture_channels = (4, 3)

    def make_example(self, images, seed):
        """Cuts the hole out of the photo."""
        size = tf.shape(images[0])[:2]
        mask = random_mask(size, seed) if self.hole == "random" else center_mask(size)
        return {**self._cut(images[0], mask), "target_image": images[0]}

    def read_picture(self, picture):
        """Takes the transparent pixels, whose alpha is -1, for the hole."""
        # A pixel that is transparent in part has a colour, and is not missing.
        return self._cut(picture[..., :3], tf.cast(picture[..., 3:] <= -1, tf.float32))

    def resize_picture(self, picture, size):
        """Resizes a photo with holes; a pixel that covers any part of a hole becomes part of the hole.

        The colours of the other pixels are made of known pixels alone, so that what is stored in
        transparent pixels, which nobody sees, does not reach the network.
        """
        known = tf.cast(picture[..., 3:] > -1, tf.float32)
        photo = picture[..., :3] * known
        colours = tf.math.divide_no_nan(resize(photo, size), resize(known, size))
        if self.resize_method != registry.BILINEAR:
            # Near a hole the weights of another method may be negative, and means of a part of them wrong.
            near_hole = tf.abs(self.resize(1 - known, size)) > _LEAST_HOLE_SHARE
            colours = tf.where(near_hole, colours, self.resize(photo, size))
        hole_share = tf.image.resize(1 - known, size, "area")
        alpha = tf.where(hole_share > _LEAST_HOLE_SHARE, -1.0, 1.0)
        return tf.concat([colours, alpha], axis=-1)

    def complete(self, example, generated_image):
        """Returns the generated pixels in the hole and the known pixels around it."""
        return tf.where(example["mask"] > 0, generated_image, example["input_image"][..., :3])

    def show_input(self, example):
        """Returns the photo with a gray hole."""
        return example["input_image"][..., :3]

    def _cut(self, photo: tf.Tensor, mask: tf.Tensor) -> Example:
        input_image = photo * (1 - mask)
        if self.hole == "random":
            input_image = tf.concat([input_image, 1 - 2 * mask], axis=-1)
        return {"input_image": input_image, "mask": mask}


class Edges(Task):
    """A drawing goes in, and a photo comes out. The drawing is the photo's edges: see `drawings.py`."""

    name = "edges"
    draw_input = staticmethod(draw_edges)


def make_task(
    name: str,
    channels: registry.Channels = (3, 3),
    resize_method: str = registry.BILINEAR,
    **options: Any,
) -> Task:
    """Returns a task by its name.

    Args:
      name: a key of `registry.TASKS`, such as `pairs` or `inpaint`.
      channels: of input and target pictures, where the task leaves them free, as `pairs` does.
      resize_method: how pictures are resized, a value of `registry.RESIZE_METHODS`.
      **options: settings such as `hole`; those that the task does not have are ignored.

    Raises:
      UsageError: for a name that is not in the table.
      ValueError: for a class that calls itself by another name than its entry.

    Examples:
      >>> make_task("inpaint", hole="random").channels
      (4, 3)
    """
    spec = registry.find_task(name)
    task_class = homes.resolve(spec.home)
    if task_class.name != name:
        raise ValueError(
            f"{task_class.__name__}.name must be {name!r}, its name in TASKS. Received: {task_class.name!r}"
        )
    own = spec.choose_options(options)
    task = task_class(**own) if spec.channels else task_class(channels, **own)
    task.resize_method = resize_method
    return task
