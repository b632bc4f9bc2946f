"""Line drawings of photos: Canny's edges, found by OpenCV, which the optional extra `edges` installs."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfpix2pix.pipelines.base.errors import UserError

# The other numbers hold for photos of this size, which networks see. A larger photo is smoothed more and
# gets wider lines, so that they survive when it is reduced to that size.
_REFERENCE_PX = 256
_SIGMA_PX = 1.5
# The length of the gradient, in levels of 255 per px, with which an edge may go on, and may start.
_WEAK, _STRONG = 3.0, 8.0
_UNIT = 64.0  # OpenCV takes gradients as whole numbers, in units of 1 / 64 of a level


def draw_edges(photo: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Draws a photo's edges, black on white like the inputs of edges2shoes.

    Args:
      photo: uint8 or uint16 RGB [H, W, 3].

    Returns:
      uint8 RGB [H, W, 3] of 0 and 255.

    Raises:
      UserError: if OpenCV is not installed; the message names the extra.

    Source: Canny 1986, as OpenCV has it. The paper uses HED (Xie and Tu 2015) and thins its result,
    but nobody distributes the network of HED as a library.
    """
    cv2 = _import_opencv()
    if photo.dtype == np.uint16:
        photo = (photo // 257).astype(np.uint8)
    scale = max(1.0, min(photo.shape[:2]) / _REFERENCE_PX)
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(gray, (0, 0), _SIGMA_PX * scale)
    # The weights of Sobel's kernel add up to 8. The scale makes gradients the same at any size of a photo.
    gradients = [
        np.clip(np.rint(cv2.Sobel(smooth, cv2.CV_32F, *axis) / 8 * scale * _UNIT), -32767, 32767)
        for axis in ((1, 0), (0, 1))
    ]
    dx, dy = (gradient.astype(np.int16) for gradient in gradients)
    edges = cv2.Canny(dx, dy, _WEAK * _UNIT, _STRONG * _UNIT, L2gradient=True)
    width_px = round(scale)
    if width_px > 1:
        edges = cv2.dilate(edges, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width_px, width_px)))
    return np.repeat(255 - edges[..., None], 3, axis=2)


def _import_opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            "drawing a photo's edges needs OpenCV: pip install 'tfpix2pix[edges]' "
            "(or pip install opencv-python-headless)"
        ) from error
    # Other threads draw other photos at the same time.
    cv2.setNumThreads(1)
    return cv2
