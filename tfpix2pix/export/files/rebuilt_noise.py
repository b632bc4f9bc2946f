"""The noise of exported files: the numbers of `tfpix2pix/networks/noise.py`, by what all runtimes do alike.

Runtimes differ in what they do with uint32, with shifts, and with products that do not fit. So each number
of 32 bits is two of 16 bits here, both int32 and at least 0, and nothing exceeds 2**24. What is left is sums,
products, divisions, comparisons and `bitwise_xor`; a runtime that computes them in float32 makes no mistake.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from tfpix2pix.networks.latent import STREAM, DrawLatent
from tfpix2pix.networks.noise import NoiseDropout

_BASE = 2**16
_GOLDEN_RATIO = 0x9E3779B9
_ROUNDS = ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1))


class Halves(NamedTuple):
    """A number of 32 bits without a sign.

    Attributes:
      high: its upper 16 bits, int32.
      low: its lower 16 bits, int32.
    """

    high: Any
    low: Any


def drop(layer: NoiseDropout, activations: Any, noise_seed: Any) -> Any:
    """Drops what `NoiseDropout` drops.

    Args:
      layer: the layer that is rebuilt.
      activations: symbolic float32 [B, H, W, C] of one H and W.
      noise_seed: symbolic int32 [B, 2].
    """
    places = np.arange(np.prod(activations.shape[1:])).reshape(1, *activations.shape[1:])
    bits = _hash_places(noise_seed, layer.stream, places)
    least = halve(np.array([round(layer.rate * 2**32)]))
    # The lower halves count only where the upper ones are equal.
    kept = ops.greater(bits.high + _as_number(ops.greater_equal(bits.low, least.low)), least.high)
    nothing = np.zeros(1, np.float32)
    return ops.where(kept, activations * (1 / (1 - layer.rate)), nothing)


def draw(layer: DrawLatent, noise_seed: Any) -> Any:
    """Draws what `DrawLatent` draws.

    Args:
      layer: the layer that is rebuilt.
      noise_seed: symbolic int32 [B, 2].
    """
    # In two rows, because Keras adds a single row by an operation that LiteRT has for floats alone.
    places = np.arange(2 * layer.size).reshape(1, 2, layer.size)
    bits = _hash_places(noise_seed, STREAM, places)
    # Keras takes the shape of a `bitwise_xor` for that of its first argument, so the true one is added.
    nothing = keras.layers.Reshape((2, 1))(noise_seed) * np.zeros_like(places, np.int32)
    uniform = fraction(bits, nothing) + np.float32(2**-25)
    radius = ops.sqrt(ops.log(uniform[:, 0]) * np.float32(-2))
    return radius * ops.cos(uniform[:, 1] * np.float32(2 * np.pi)) * np.float32(layer.stddev)


def fraction(bits: "Halves", nothing: Any) -> Any:
    """Returns the upper 24 bits of numbers as fractions in [0, 1), which float32 holds.

    Args:
      bits: the numbers.
      nothing: int32 zeros of their true shape.
    """
    number = nothing + bits.high * _constant(256) + _divide(bits.low, 256)
    return number * np.float32(2**-24)


def _hash_places(noise_seed: Any, stream: int, places: np.ndarray) -> "Halves":
    """Returns the random bits of a stream for an array of places, whose first axis is the batch's."""
    column = keras.layers.Reshape((2, 1))(noise_seed)
    columns = [keras.layers.Cropping1D(cropping)(column) for cropping in ((0, 1), (1, 0))]
    seeds = [keras.layers.Reshape((1,) * (places.ndim - 1))(number) for number in columns]
    return hash_bits(*map(split, seeds), halve(np.array([stream])), halve(places))


def halve(numbers: np.ndarray) -> Halves:
    """Returns the halves of known numbers; negative ones count from 2**32 downwards."""
    unsigned = numbers.astype(np.int64) % 2**32
    return Halves((unsigned // _BASE).astype(np.int32), (unsigned % _BASE).astype(np.int32))


def split(numbers: Any) -> Halves:
    """Returns the halves of int32 numbers, whether the runtime's division rounds down or towards 0."""
    high = _divide(numbers, _BASE)
    low = numbers - high * _constant(_BASE)
    borrowed = _is_negative(low)
    high, low = high - borrowed, low + borrowed * _constant(_BASE)
    return Halves(high + _is_negative(high) * _constant(_BASE), low)


def hash_bits(*words: Halves) -> Halves:
    """Does what `noise.hash_bits` does."""
    mixed = halve(np.array([_GOLDEN_RATIO]))
    for word in words:
        mixed = _xor(mixed, word)
        for shift, multiplier in _ROUNDS:
            mixed = _multiply(_xor(mixed, _shift_right(mixed, shift)), multiplier)
    return mixed


def _xor(one: Halves, other: Halves) -> Halves:
    return Halves(ops.bitwise_xor(one.high, other.high), ops.bitwise_xor(one.low, other.low))


def _shift_right(number: Halves, shift: int) -> Halves:
    if shift == 16:
        return Halves(_constant(0), number.high)
    kept = _divide(number.high, 2**shift)
    moved = number.high - kept * _constant(2**shift)
    return Halves(kept, moved * _constant(2 ** (16 - shift)) + _divide(number.low, 2**shift))


def _multiply(number: Halves, factor: int) -> Halves:
    """Multiplies modulo 2**32 by the four bytes of `factor`, so that each product has at most 24 bits."""
    if factor == 1:
        return number
    low_factor, high_factor = factor % _BASE, factor // _BASE
    carried, low = _multiply_half(number.low, low_factor)
    _, crossed = _multiply_half(number.low, high_factor)
    _, upper = _multiply_half(number.high, low_factor)
    return Halves(_remainder(carried + crossed + upper, _BASE), low)


def _multiply_half(number: Any, factor: int) -> Halves:
    """Returns the product of two numbers of 16 bits."""
    of_upper_byte = number * _constant(factor // 256)
    carried = _divide(of_upper_byte, 256)
    of_lower_byte = number * _constant(factor % 256)
    low = of_lower_byte + (of_upper_byte - carried * _constant(256)) * _constant(256)
    return Halves(carried + _divide(low, _BASE), _remainder(low, _BASE))


def _divide(numbers: Any, divisor: int) -> Any:
    return ops.floor_divide(numbers, _constant(divisor))


def _remainder(numbers: Any, divisor: int) -> Any:
    return numbers - _divide(numbers, divisor) * _constant(divisor)


def _is_negative(numbers: Any) -> Any:
    return _as_number(ops.less(numbers, _constant(0)))


def _as_number(condition: Any) -> Any:
    # Older versions of Keras do not open what newer ones save of `ops.cast`.
    return ops.where(condition, _constant(1), _constant(0))


def _constant(number: int) -> np.ndarray:
    # The number is in a list, because Keras forgets the type of a single number when it saves a model.
    return np.array([number], np.int32)
