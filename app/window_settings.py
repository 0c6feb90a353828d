"""What the window remembers between two starts: where it stood, recent projects, how fast this machine is."""

from pathlib import Path

from PyQt6.QtCore import QByteArray, QSettings

from app.project_files import is_project, unsaved_file

MAX_RECENT = 8


class WindowSettings:
    """Qt's settings store, typed; a file of its own for tests."""

    def __init__(self, file: Path | None = None) -> None:
        self._store = (
            QSettings("Handful", "Handful") if file is None else QSettings(str(file), QSettings.Format.IniFormat)
        )

    @property
    def recent(self) -> list[Path]:
        """Projects that were opened or built, the newest first, and are still there."""
        stored = self._store.value("recent", [])
        names = [stored] if isinstance(stored, str) else list(stored or [])
        folders = [Path(name) for name in names]
        return [folder for folder in folders if is_project(folder) or unsaved_file(folder).is_file()]

    def remember(self, folder: Path) -> None:
        """Put a project first among the recent ones."""
        others = [other for other in self.recent if other != folder]
        self._store.setValue("recent", [str(path) for path in [folder, *others][:MAX_RECENT]])

    @property
    def pace(self) -> float:
        """How much longer this machine takes than `app.run_estimate` says."""
        return float(self._store.value("pace", 1.0))

    def set_pace(self, pace: float) -> None:
        """Remember how fast this machine was."""
        self._store.setValue("pace", pace)

    def geometry(self, name: str) -> QByteArray | None:
        """Where a part of the window stood; None at the first start."""
        stored = self._store.value(name)
        return stored if isinstance(stored, QByteArray) else None

    def set_geometry(self, name: str, geometry: QByteArray) -> None:
        """Remember where a part of the window stands."""
        self._store.setValue(name, geometry)

    def save(self) -> None:
        """Write everything to disk."""
        self._store.sync()
