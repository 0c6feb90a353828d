"""Shader programs, one for each set of constants.

What a uniform chooses software renderers compute both ways, for every pixel; what a constant chooses they leave out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import moderngl

VERSION = "#version 330 core\n"


@dataclass(frozen=True)
class BoundProgram:
    """A program, and a vertex array without attributes to draw with it: vertices are numbered."""

    program: moderngl.Program
    vertices: moderngl.VertexArray

    def set(self, **uniforms: float | tuple[float, ...]) -> None:
        """Set numbers and vectors; those that the constants made useless are no longer there and left."""
        for name, value in uniforms.items():
            if name in self.program:
                self.program[name] = value


class Programs:
    """Compiles when first wanted; needs the context to be current, as all it gives does."""

    def __init__(self, context: moderngl.Context, vertex_shader: str, fragment_shader: str, samplers: Sequence[str]):
        """Take shaders without their version; `samplers` are the textures, in the order of their units."""
        self._context = context
        self._shaders = vertex_shader, fragment_shader
        self._samplers = tuple(samplers)
        self._made: dict[tuple[tuple[str, int], ...], BoundProgram] = {}

    def of(self, **constants: int) -> BoundProgram:
        """The program in which these integers have these values."""
        key = tuple(sorted(constants.items()))
        if key not in self._made:
            head = VERSION + "".join(f"const int {name} = {value};\n" for name, value in key)
            vertex_shader, fragment_shader = (head + shader for shader in self._shaders)
            program = self._context.program(vertex_shader=vertex_shader, fragment_shader=fragment_shader)
            self._made[key] = made = BoundProgram(program, self._context.vertex_array(program, []))
            made.set(**{name: unit for unit, name in enumerate(self._samplers)})
        return self._made[key]
