r"""Turns weights of pytorch-CycleGAN-and-pix2pix, of pix2pixHD or of BicycleGAN into a run, and back.

    python -m tfpix2pix.interop.torch_weights --checkpoint=latest_net_G.pth --output=runs/facades
    python -m tfpix2pix.interop.torch_weights --checkpoint=latest_net_G.pth \
        --discriminator_file=latest_net_D.pth --output=runs/facades --direction=BtoA
    python -m tfpix2pix.interop.torch_weights --pretrained=facades_label2photo --output=runs/facades

translate, evaluate, export and train take the run. With --workdir, the command writes
the networks of a run for that code:

    python -m tfpix2pix.interop.torch_weights --workdir=runs/facades --output=latest_net_G.pth \
        --discriminator_file=latest_net_D.pth

--discriminator_2_file and --encoder_file are for the further networks of BicycleGAN, and
--encoder_file and --clusters_file are for pix2pixHD's features of instances. With labels,
pix2pixHD's networks take --input_encoding=one_hot and --data_dir, a folder with a palette.json.
Files are .pth or .safetensors (pip install 'tfpix2pix[torch]'), or .npz. All other
flags are settings of the run that the files do not tell; they are those of train.
docs/torch_weights.md says more.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from tfpix2pix.config import config as configs
from tfpix2pix.interop import torch_files
from tfpix2pix.interop.published import PUBLISHED, fetch_published
from tfpix2pix.interop.torch_bicycle_names import LatentEncoder, LatentUnet, PyramidDiscriminator
from tfpix2pix.interop.torch_names import Unet
from tfpix2pix.interop.torch_residual_names import Discriminator, FeatureEncoder, MultiscaleDiscriminator
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.progress import say

if TYPE_CHECKING:
    from tfpix2pix.interop.torch_import import Conversion

# Descriptions of the defaults that differ from those of training.
DEFAULTS = {
    "dataset": "the name of --output",
    "dropout": "torch",
    "image_size": "2 to the depth; 256 for residual generators",
    "method": "pix2pixhd and bicyclegan for their networks",
    "precision": "float32",
    "resize_method": "bicubic",
}


# --discriminator was the file here before it was a setting, and the file tells which discriminator it is.
_FILES = ("discriminator", "discriminator_2", "encoder", "clusters")  # beside that of the generator
_SETTINGS = tuple(name for name in configs.FIELDS if name != "discriminator")


def main(argv: Sequence[str]) -> None:
    """Parses flags, converts, prints what was converted."""
    values = _parse(argv)
    workdir, output = (_path(values[name]) for name in ("workdir", "output"))
    others = {name: _path(values[f"{name}_file"]) for name in _FILES}
    assert output  # noqa: S101 - checked with the flags
    if values["pretrained"] or values["pretrained_url"]:
        values = _download(values)
    command_line.import_tensorflow()
    from tfpix2pix.interop import torch_export, torch_import

    if workdir:
        which = values["checkpoint"] or "latest"
        result = torch_export.export_weights(workdir, output, which=which, **others)
        print(_describe_export(result, output, others))
    else:
        settings_given = {name: values[name] for name in _SETTINGS}
        result = torch_import.import_run(Path(values["checkpoint"]), output, **others, **settings_given)
        print(_describe_import(result, output))
    for note in result.notes:
        say(f"note: {note}")


def _parse(argv: Sequence[str]) -> dict[str, Any]:
    """Returns the flags. What can be checked without TensorFlow is checked."""
    flag_values = command_line.new_flags()
    _define_files(flag_values)
    configs.define_flags(flag_values, _SETTINGS, DEFAULTS)
    aliases = {name: f"{name}_file" for name in ("discriminator", "encoder", "clusters")}
    values = command_line.read_flags(flag_values, __doc__ or "", argv, aliases=aliases)
    older, newer = values.pop("discriminator"), values["discriminator_file"]
    if older and newer and older != newer:
        raise UsageError("--discriminator is the older name of --discriminator_file: give one of them")
    values["discriminator_file"] = newer or older
    _check(values)
    return values


def _define_files(flag_values: flags.FlagValues) -> None:
    for name, text in (
        (
            "checkpoint",
            "Read the reference's generator from this file. With --workdir, take this checkpoint: latest, "
            "best or a step. Default: latest.",
        ),
        (
            "pretrained",
            f"Download this generator of the reference, once: {', '.join(PUBLISHED)}. It is kept in "
            "~/.cache/tfpix2pix, or $TFPIX2PIX_CACHE.",
        ),
        ("pretrained_url", "Download the generator from this address, as with --pretrained."),
        (
            "sha256",
            "The downloaded file must have this SHA-256. Default: that of the first download.",
        ),
        ("discriminator_file", "Read the discriminator from this file. With --workdir, write it there."),
        (
            "discriminator_2_file",
            "Read BicycleGAN's second discriminator from this file. With --workdir, write it there.",
        ),
        (
            "encoder_file",
            "Read the encoder of BicycleGAN or pix2pixHD from this file. With --workdir, write it there.",
        ),
        (
            "clusters_file",
            "Read pix2pixHD's clusters of features from this file, such as features_clustered_010.npy. With "
            "--workdir, write it there.",
        ),
        ("discriminator", "This is the older name of --discriminator_file."),
        (
            "output",
            "Write the new run to this folder, such as runs/facades. With --workdir, write the generator to "
            "this file.",
        ),
        ("workdir", "Write the networks of the run in this folder for the reference."),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)


def _download(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the flags with the file of the model as checkpoint, and with what is known of its training."""
    name = values["pretrained"] or values["pretrained_url"]
    known = dataclasses.asdict(PUBLISHED[name]) if name in PUBLISHED else {}
    given = {setting: value for setting, value in values.items() if value is not None}
    file = fetch_published(name, values["sha256"])
    torch_files.check_readable(file)
    return {**values, **known, **given, "checkpoint": str(file)}


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _check(values: Mapping[str, Any]) -> None:
    workdir, output = (_path(values[name]) for name in ("workdir", "output"))
    others = [_path(values[f"{name}_file"]) for name in _FILES]
    _check_pretrained(values)
    pretrained = values["pretrained"] or values["pretrained_url"]
    generator = output if workdir else _path(values["checkpoint"])
    if not output or not (generator or pretrained):
        raise UsageError(
            "expected --checkpoint=FILE --output=DIR, or --pretrained=NAME --output=DIR, or --workdir=RUN "
            "--output=FILE (--help shows more)"
        )
    needless = [f"--{name}" for name in _SETTINGS if values[name] is not None]
    if workdir and needless:
        raise UsageError(f"with --workdir the settings are the run's: leave out {', '.join(needless)}")
    written = {flag: file for flag, file in zip(("output", *_FILES), (output, *others), strict=True) if file}
    for flag, file in written.items() if workdir else ():
        if same := [other for other in _FILES if other != flag and written.get(other) == file]:
            raise UsageError(f"--{flag} and --{same[0]}_file are the same file")
    for file in filter(None, (generator, *others)):
        if values["clusters_file"] == str(file):
            torch_files.check_array(file, written=bool(workdir))
        elif workdir:
            torch_files.check_writable(file)
        else:
            torch_files.check_readable(file)


def _check_pretrained(values: Mapping[str, Any]) -> None:
    sources = [
        f"--{name}" for name in ("checkpoint", "pretrained", "pretrained_url", "workdir") if values[name]
    ]
    has_pretrained = values["pretrained"] or values["pretrained_url"]
    if has_pretrained and len(sources) > 1:
        raise UsageError(f"{', '.join(sources)}: give one of them")
    if values["pretrained"] and values["pretrained"] not in PUBLISHED:
        raise UsageError(
            f"--pretrained is one of {', '.join(PUBLISHED)}. Received: {values['pretrained']}. "
            "--pretrained_url takes the address of another file"
        )
    if values["sha256"] and not has_pretrained:
        raise UsageError("--sha256 is for --pretrained and --pretrained_url")


def _describe_import(result: "Conversion", workdir: Path) -> str:
    from tfpix2pix.run import next_commands

    lines = [f"generator:     {result.generator}"]
    if result.discriminator:
        field = "" if result.config.discriminator != "patch" else f", {result.config.receptive_field} px"
        lines.append(f"discriminator: {result.discriminator}{field}")
    if result.encoder:
        lines.append(f"encoder:       {result.encoder}")
    lines.append(f"run:           {workdir}, step 0")
    if command := next_commands.translate(workdir, result.config, workdir):
        lines.append(f"translate:     {command}")
    lines.append(f"train on:      {next_commands.train(result.config, workdir)}")
    return "\n".join(lines)


def _describe_export(result: "Conversion", output: Path, files: Mapping[str, Path | None]) -> str:
    network, patch = result.generator, result.discriminator
    norm = "batch" if network.affine else "instance" if network.biased else "none"
    inputs = result.inputs.flags if result.inputs else f"--input_nc {network.input_channels}"
    channels = f"{inputs} --output_nc {network.output_channels}"
    lines = [
        f"generator:     {output}, step {result.step}",
        f"  there:       {_name_generator(result)} --norm {norm} {channels}",
    ]
    if patch:
        names = [str(file) for name, file in files.items() if file and name.startswith("discriminator")]
        lines.append(f"discriminator: {', '.join(names)}, {patch.channels} channels")
        lines.append(f"  there:       {_name_discriminator(patch)} --norm {norm}")
    if encoder := result.encoder:
        lines.append(f"encoder:       {files['encoder']}, {network.output_channels} channels")
        lines.append(f"  there:       {_name_encoder(encoder)}")
    return "\n".join(lines)


def _name_generator(result: "Conversion") -> str:
    """Returns the flags that build the generator in the reference, or in pix2pixHD's code."""
    network, config = result.generator, result.config
    if not isinstance(network, Unet) and network.is_hd:
        # There the filters are those of the last enhancer.
        filters = network.base_filters // 2**network.enhancers
        body = f"--n_downsample_global {network.depth} --n_blocks_global {network.blocks}"
        if not network.enhancers:
            return f"--netG global --ngf {filters} {body}"
        around = f"--n_local_enhancers {network.enhancers} --n_blocks_local {network.enhancer_blocks}"
        return f"--netG local --ngf {filters} {body} {around}"
    if not isinstance(network, Unet):
        net = f"--netG {network.generator}"
    elif network.depth in (7, 8):
        net = f"--netG unet_{2**network.depth}"
    else:
        net = f"UnetGenerator of num_downs {network.depth},"
    if isinstance(network, LatentUnet):
        latent = f"--nz {network.latent_size} --where_add {network.latent_at}"
        dropout = "" if config.dropout == "none" else " --use_dropout"
        return f"{net} --ngf {network.base_filters} {latent}{dropout}"
    drops = config.dropout != "none" if isinstance(network, Unet) else network.dropout
    return f"{net} --ngf {network.base_filters}{'' if drops else ' --no_dropout'}"


def _name_encoder(encoder: LatentEncoder | FeatureEncoder) -> str:
    """Returns the flags that build the encoder there."""
    if isinstance(encoder, FeatureEncoder):
        return f"--n_downsample_E {encoder.depth} --nef {encoder.base_filters}"
    return f"--netE resnet_{2 ** (encoder.blocks + 3)} --nef {encoder.base_filters}"


def _name_discriminator(patch: Discriminator) -> str:
    """Returns the flags that build the discriminator there."""
    if isinstance(patch, MultiscaleDiscriminator):
        return f"--num_D {patch.scales} --n_layers_D {patch.strided} --ndf {patch.base_filters}"
    if isinstance(patch, PyramidDiscriminator):
        kinds = {2: "--netD basic_128_multi", 3: "--netD basic_256_multi"}
        net = kinds.get(patch.strided, f"D_NLayersMulti of n_layers {patch.strided},")
        return f"{net} --num_Ds {patch.scales} --ndf {patch.base_filters}"
    kind = {0: "pixel", 3: "basic"}.get(patch.strided, f"n_layers --n_layers_D {patch.strided}")
    return f"--netD {kind} --ndf {patch.base_filters}"


if __name__ == "__main__":
    command_line.run(main)
