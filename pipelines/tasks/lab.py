"""From sRGB to CIE Lab under the illuminant D65, and back: pure functions of float32 tensors."""

import tensorflow as tf

# The matrix from linear sRGB (columns) to XYZ (rows), and its inverse. Source: IEC 61966-2-1, six decimals.
_XYZ_OF_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_RGB_OF_XYZ = (
    (3.24048134, -1.53715152, -0.49853633),
    (-0.96925495, 1.87599000, 0.04155593),
    (0.05564664, -0.20404134, 1.05731107),
)
# XYZ of the white of D65 for the observer of 2 degrees.
_WHITE = (0.95047, 1.0, 1.08883)
# Below this threshold a line takes the place of the cube root. Source: CIE 15.
_CUBE_THRESHOLD = (6 / 29) ** 3
_LINE_SLOPE = (29 / 6) ** 2 / 3
_LINE_OFFSET = 4 / 29


def rgb_to_lab(rgb: tf.Tensor) -> tf.Tensor:
    """Converts sRGB to Lab.

    Args:
      rgb: float32 [..., 3] in [0, 1].

    Returns:
      float32 [..., 3]: L in [0, 100], a in about [-86, 98], and b in about [-108, 94].
    """
    # The values that tf.where leaves out must be finite too, or its gradient would be NaN.
    curve = ((tf.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4
    linear = tf.where(rgb > 0.04045, curve, rgb / 12.92)
    ratios = _mix(linear, _XYZ_OF_RGB) / _WHITE
    root = tf.maximum(ratios, _CUBE_THRESHOLD) ** (1 / 3)
    x, y, z = tf.unstack(
        tf.where(ratios > _CUBE_THRESHOLD, root, _LINE_SLOPE * ratios + _LINE_OFFSET), axis=-1
    )
    return tf.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_rgb(lab: tf.Tensor) -> tf.Tensor:
    """Converts Lab to sRGB; undoes `rgb_to_lab`.

    Args:
      lab: float32 [..., 3] in the ranges that `rgb_to_lab` returns.

    Returns:
      float32 [..., 3] in [0, 1]; colours that sRGB lacks are clipped.
    """
    lightness, a, b = tf.unstack(lab, axis=-1)
    y = (lightness + 16) / 116
    # Z cannot be negative, but a value of b that no colour has would make it so.
    roots = tf.stack([y + a / 500, y, tf.maximum(y - b / 200, 0.0)], axis=-1)
    ratios = tf.where(roots > 6 / 29, roots**3, (roots - _LINE_OFFSET) / _LINE_SLOPE)
    linear = _mix(ratios * _WHITE, _RGB_OF_XYZ)
    curve = 1.055 * tf.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return tf.clip_by_value(tf.where(linear > 0.0031308, curve, linear * 12.92), 0.0, 1.0)


def _mix(colours: tf.Tensor, rows: tuple[tuple[float, ...], ...]) -> tf.Tensor:
    # A matmul may run in TensorFloat-32, which would lose three digits.
    return tf.stack([tf.reduce_sum(colours * row, axis=-1) for row in rows], axis=-1)
