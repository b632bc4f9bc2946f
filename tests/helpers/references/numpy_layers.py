"""What the custom layers compute, in NumPy and plain integers."""

import numpy as np

UINT32 = 2**32 - 1


def normalize(images: np.ndarray, gamma: np.ndarray, beta: np.ndarray, per_image: bool) -> np.ndarray:
    """Normalises float [B, H, W, C] by the statistics of each image, or of all of them, in float64."""
    groups = images[:, None] if per_image else images[None]
    normalized = []
    for group in groups.astype(np.float64):
        pixels = group.reshape(-1, group.shape[-1])
        normalized.append((group - pixels.mean(0)) / np.sqrt(pixels.var(0) + 1e-5) * gamma + beta)
    return np.concatenate(normalized)


def finalize_murmur(word: int) -> int:
    """The 32-bit finaliser of MurmurHash3, as published."""
    word ^= word >> 16
    word = word * 0x85EBCA6B & UINT32
    word ^= word >> 13
    word = word * 0xC2B2AE35 & UINT32
    return word ^ (word >> 16)


def noise_mask(seed: tuple[int, int], stream: int, size: int, rate: float) -> list[bool]:
    """Which of `size` activations of one example are kept."""
    kept = []
    for place in range(size):
        bits = 0x9E3779B9
        for word in (*seed, stream, place):
            bits = finalize_murmur(bits ^ (word & UINT32))
        kept.append(bits >= rate * 2**32)
    return kept
