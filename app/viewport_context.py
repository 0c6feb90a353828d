"""Qt's OpenGL context as one of moderngl.

Function pointers come from Qt, whatever made the context: GLX, EGL (Wayland), WGL or CGL. moderngl's own search knows
one of them and fails with the others.
"""

from typing import Any

import moderngl
from PyQt6.QtGui import QOpenGLContext, QSurfaceFormat


class _QtFunctions:
    """What moderngl asks of a context."""

    def __init__(self, context: QOpenGLContext) -> None:
        self._context = context

    def load_opengl_function(self, name: str) -> int:
        """Address of an OpenGL function; 0 if there is none."""
        address = self._context.getProcAddress(name.encode("ascii"))
        return int(address) if address else 0

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def release(self) -> None:
        """Nothing: the context is Qt's."""


def core_profile() -> QSurfaceFormat:
    """The format of every viewport: OpenGL 3.3 core with depth."""
    surface = QSurfaceFormat()
    surface.setVersion(3, 3)
    surface.setProfile(QSurfaceFormat.OpenGLContextProfile.CoreProfile)
    surface.setDepthBufferSize(24)
    return surface


def current_context() -> moderngl.Context:
    """The current context of Qt.

    Raises:
        RuntimeError: there is none, or it knows less than OpenGL 3.3.
    """
    context = QOpenGLContext.currentContext()
    if context is None:
        raise RuntimeError("OpenGL is not available")
    version = context.format().majorVersion(), context.format().minorVersion()
    if version < (3, 3):
        raise RuntimeError(f"OpenGL 3.3 is needed, this display has {version[0]}.{version[1]}")
    functions: Any = _QtFunctions(context)  # moderngl's stub wants a dict of settings, its code takes this as well
    return moderngl.create_context(require=330, context=functions)
