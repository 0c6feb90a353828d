"""Sample photos and icons that ship with the program."""

from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
"""One folder of photos for each sample."""
