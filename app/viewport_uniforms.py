"""Arrays into the uniforms of a shader program."""

import moderngl
import numpy as np

from app.viewport_camera import Floats


def write_matrix(program: moderngl.Program, name: str, matrix: Floats) -> None:
    """Set a matrix [4, 4]; OpenGL wants it column by column."""
    write_array(program, name, matrix.T)


def write_array(program: moderngl.Program, name: str, values: Floats) -> None:
    """Set a uniform of floats from an array in memory order."""
    uniform = program[name]
    assert isinstance(uniform, moderngl.Uniform)
    uniform.write(np.ascontiguousarray(values, np.float32).tobytes())
