"""Translates image files with a trained run or an exported SavedModel.

    python -m tfpix2pix.translate --model=runs/facades --input=photos --output=out
    python -m tfpix2pix.translate --model=saved_models/facades --input='photos/**/*.jpg' --output=out

Each image is resized to the size that the model was trained at, as in its evaluation,
and its output back to the size of the image; --image_size=native leaves images as they
are. The images may have any size, and be JPEG, PNG, BMP, TIFF, WebP or GIF files, or
.npy arrays. A folder is searched with its subfolders, except for --output inside it,
and for what only the page of an earlier job shows. Each output has its input's name and
subfolder; where two inputs differ only in their suffix, it becomes part of the name, as
in a.jpg.png. Outputs are of the kind of the targets of the training: PNG files of 8 or
16 bits, TIFF files or arrays; --format=png|jpeg|tiff|webp|npy writes other files. Label
maps may hold class ids, if those of the training did. out/index.html shows inputs and
outputs. A job that was stopped goes on with --resume, by the same model and flags, which
out/index_files/made_by.json holds. Several machines share a job with --shard=1/4,
--shard=2/4 and so on. An inpainting model fills what is transparent, or what
--hole=center cuts out. The same command gives the same pictures.

Where the model has a latent vector, one image has many outputs: --samples_per_image=4
writes four, --latent_from=photo.png gives all outputs the style of a photo, and
--interpolate=photo.png:7:12 goes from that style to that of seed 7 in twelve pictures.
A run with --instance_features makes samples too, and --feature_from=photo.png lets each
instance look as it does in a photo of the same scene.
"""

import dataclasses
from collections.abc import Sequence

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.places import copy_of, name_urls
from tfpix2pix.translate.flags import REMOTE, define_flags, find_inputs_of
from tfpix2pix.translate.options import Options


def main(argv: Sequence[str]) -> None:
    """Parses flags, finds the images, translates them."""
    flag_values = command_line.new_flags()
    define_flags(flag_values)
    arguments = command_line.parse_flags(flag_values, __doc__ or "", argv, takes_remote=REMOTE)
    values = flag_values.flag_values_dict()
    if arguments:
        raise UsageError(f"unexpected argument: {arguments[0]} (a pattern for --input needs quotes)")
    options = Options(**{field.name: values[field.name] for field in dataclasses.fields(Options)})
    files = find_inputs_of(values, options)
    command_line.import_tensorflow()
    from tfpix2pix.translate.job import translate_files
    from tfpix2pix.translate.translator import Translator

    translator = Translator(
        values["model"],
        values["checkpoint"],
        image_size=values["image_size"],
        output_size=values["output_size"],
        weights=values["weights"],
    )
    print(f"size: {translator.scale.describe(translator.output_size)}", flush=True)
    output = copy_of(values["output"], written=True)
    print(name_urls(translate_files(translator, files, output, options)))


if __name__ == "__main__":
    command_line.run(main)
