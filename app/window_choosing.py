"""Dialogues that ask for files and folders; what is cancelled gives nothing."""

from pathlib import Path

from PyQt6.QtWidgets import QFileDialog, QWidget

from app.file_kinds import SUFFIXES
from recon.photo_kinds import PHOTO_SUFFIXES


def choose_photos(parent: QWidget) -> list[Path]:
    """Ask for photos."""
    kinds = " ".join(f"*{suffix}" for suffix in sorted(PHOTO_SUFFIXES))
    names, _ = QFileDialog.getOpenFileNames(parent, "Choose photos", "", f"Photos ({kinds})")
    return [Path(name) for name in names]


def choose_folder(parent: QWidget, title: str) -> Path | None:
    """Ask for a folder."""
    name = QFileDialog.getExistingDirectory(parent, title)
    return Path(name) if name else None


def choose_scene_file(parent: QWidget) -> Path | None:
    """Ask for a file of splats or a mesh."""
    kinds = " ".join(f"*{suffix}" for suffix in SUFFIXES)
    name, _ = QFileDialog.getOpenFileName(parent, "Look at a file", "", f"Splats and meshes ({kinds})")
    return Path(name) if name else None
