"""What the images of a training stand for: their classes, channels, type and files.

A training looks at its images once, at its start. The run keeps what it saw, and so do the exports of the
run, so that a file means to them what it meant to the training. TensorFlow is not imported, and NumPy only
where it is needed, so that `--help` waits for neither.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

IGNORED = 255  # the id of pixels that belong to no class and are not scored
VOID = "void"  # the entry of a palette's file that holds the colours of such pixels

Colours: TypeAlias = "npt.NDArray[np.uint8]"

_RANGES = {"uint8": (0, 255), "uint16": (0, 65535), "float32": (-1, 1)}
_ARRAY, _PNG, _TIFFS = ".npy", ".png", (".tif", ".tiff")
MOST_PNG_CHANNELS = 4
_TOLD = 10  # so many classes are told in a message


@dataclasses.dataclass(frozen=True, eq=False)
class Palette:
    """The classes of a dataset's label maps.

    Attributes:
      names: the names of the K classes; K is at most 65,536.
      colours: RGB colour of each class, uint8 [K, 3].
      void: RGB colours that belong to no class, uint8 [V, 3]; V may be 0.
      stored: the number that stands for each class in files of ids, from 0 to 65,535; None for 0 to K - 1.
    """

    names: tuple[str, ...]
    colours: Colours
    void: Colours
    stored: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ids(self) -> tuple[int, ...]:
        """The number that stands for each class in files of ids."""
        return tuple(range(len(self))) if self.stored is None else self.stored

    @property
    def no_class(self) -> int:
        """The class id of pixels that belong to no class: 255, or K where there are more classes."""
        return max(len(self), IGNORED)

    def colour_table(self, ids: Sequence[int]) -> Colours:
        """Returns the colour of each number in a file of ids, uint8 [N, 3].

        Numbers that stand for no class get the first colour of void, or black, and so does N - 1, which
        stands for all numbers above the ids. N is at least 257.

        Args:
          ids: the number of each class.
        """
        import numpy as np

        table = np.zeros((max(*ids, IGNORED) + 2, 3), np.uint8)
        table[:] = self.void[0] if len(self.void) else 0
        table[list(ids)] = self.colours
        return table

    def to_entries(self) -> dict[str, Any]:
        """Returns what the file of a palette holds: each class with its colour, and the colours of void."""
        colours = dict(zip(self.names, self.colours.tolist(), strict=True))
        return {**colours, VOID: self.void.tolist()}

    @classmethod
    def from_entries(cls, entries: Mapping[str, Any]) -> "Palette":
        """Returns the palette that `to_entries` has described."""
        import numpy as np

        colours = {name: colour for name, colour in entries.items() if name != VOID}
        return cls(
            tuple(colours),
            np.array(list(colours.values()), np.uint8).reshape(-1, 3),
            np.array(entries.get(VOID, []), np.uint8).reshape(-1, 3),
        )

    def to_json(self) -> str:
        """Returns the text of a file that `find_palette` reads."""
        entries = self.to_entries()
        if self.stored is not None:
            numbered = zip(self.names, self.stored, strict=True)
            entries |= {name: {"id": number, "colour": entries[name]} for name, number in numbered}
        lines = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"


@dataclasses.dataclass(frozen=True)
class Side:
    """What the input images of a training are, or its target images.

    Attributes:
      channels: number of channels of a picture.
      dtype: `uint8`, `uint16` or `float32`, which holds the deepest of the images.
      suffix: suffix of the files, in lower case; of several, the most frequent.
      palette: the classes, if the images are label maps whose classes are known.
      ids: the value that stands for each class of the palette in the files; empty if the files do not hold
        ids but colours.
      instances: whether maps of instances came with the images.
    """

    channels: int
    dtype: str
    suffix: str = _PNG
    palette: Palette | None = None
    ids: tuple[int, ...] = ()
    instances: bool = False

    @property
    def output_suffix(self) -> str:
        """The suffix of a file that holds such an image without loss."""
        if self.suffix in _TIFFS:
            return self.suffix
        if self.suffix == _ARRAY or self.dtype == "float32" or self.channels > MOST_PNG_CHANNELS:
            return _ARRAY
        return _PNG

    @property
    def classes(self) -> tuple[str, ...]:
        """What stands for each class, for void and for instances; empty if no classes are known."""
        if self.palette is None:
            return ()
        named = zip(self.palette.names, self.palette.colours.tolist(), strict=True)
        classes = [f"{name} {colour}" for name, colour in named]
        if self.ids:
            classes = [f"{value} {each}" for value, each in zip(self.ids, classes, strict=True)]
        instances = ["maps of instances"] if self.instances else []
        return (*classes, f"{VOID} {self.palette.void.tolist()}", *instances)

    def describe_classes(self, other: "Side") -> str:
        """Returns, for people, the classes that another side does not have, or that there are none."""
        if self.palette is None:
            return "no label maps of known classes"
        known = set(other.classes)
        # Where only their order is another one, all are told.
        classes = [each for each in self.classes if each not in known] or list(self.classes)
        more = [f"{len(classes) - _TOLD:,} more"] if len(classes) > _TOLD else []
        return f"{'class ids' if self.ids else 'colours of classes'} ({', '.join(classes[:_TOLD] + more)})"

    def to_json(self) -> dict[str, Any]:
        """Returns the side in types of JSON."""
        return {
            "channels": self.channels,
            "dtype": self.dtype,
            "range": list(_RANGES[self.dtype]),
            "suffix": self.suffix,
            "palette": self.palette and self.palette.to_entries(),
            "ids": list(self.ids),
            "instances": self.instances,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Side":
        """Returns the side that `to_json` has described."""
        palette = told["palette"] and Palette.from_entries(told["palette"])
        instances = told.get("instances", False)  # which earlier versions did not know
        return cls(told["channels"], told["dtype"], told["suffix"], palette, tuple(told["ids"]), instances)


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What the images of a training stand for.

    Attributes:
      input: the input images; None if nobody has kept what they are.
      target: the target images; None if nobody has kept what they are.
    """

    input: Side | None = None
    target: Side | None = None

    @property
    def palette(self) -> Palette | None:
        """The classes of the label maps, whichever side they are on."""
        palettes = [side.palette for side in (self.input, self.target) if side and side.palette]
        return palettes[0] if palettes else None

    def to_json(self) -> dict[str, Any] | None:
        """Returns the meaning in types of JSON; None if it is unknown."""
        if self.input is None or self.target is None:
            return None
        return {"input": self.input.to_json(), "target": self.target.to_json()}

    @classmethod
    def from_json(cls, told: Mapping[str, Any] | None) -> "Meaning":
        """Returns the meaning that `to_json` has described.

        Raises:
          KeyError, TypeError, ValueError: for something else.
        """
        return cls(*(Side.from_json(told[name]) for name in ("input", "target"))) if told else UNKNOWN


# Runs and exports of earlier versions, and arrays in memory, do not say what their images stand for.
UNKNOWN = Meaning()
