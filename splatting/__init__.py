"""Gaussian splats: cameras, rasterizers, losses, the fit and splat files. Knows no photos."""
