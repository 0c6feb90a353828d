"""The lines layer: frames of photos, the ground grid and the axes, as quads a few pixels wide."""

from collections.abc import Sequence
from dataclasses import dataclass

import moderngl
import numpy as np
from numpy.typing import NDArray

from app.viewport_camera import Floats
from app.viewport_data import PhotoFrustum
from app.viewport_uniforms import write_matrix

VERTEX_SHADER = """
#version 330 core
uniform mat4 clip_from_world;
uniform vec2 size;
uniform float width_px;
in vec3 start, end;
in vec4 rgba;
out vec4 colour;
out float across;
const float NEAR = 1e-4;
void main() {
  vec4 a = clip_from_world * vec4(start, 1), b = clip_from_world * vec4(end, 1);
  colour = rgba;
  across = float((gl_VertexID & 2) - 1);
  gl_Position = vec4(0, 0, 2, 1);
  if (max(a.w, b.w) < NEAR) return;
  if (a.w < NEAR) a = mix(b, a, (b.w - NEAR) / (b.w - a.w));  // cut where it passes behind the camera
  if (b.w < NEAR) b = mix(a, b, (a.w - NEAR) / (a.w - b.w));
  vec2 d = (b.xy / b.w - a.xy / a.w) * size;
  vec2 side = length(d) > 1e-6 ? normalize(vec2(-d.y, d.x)) : vec2(1, 0);
  vec4 p = (gl_VertexID & 1) == 0 ? a : b;
  p.xy += side * across * (width_px + 1.) / size * p.w;
  gl_Position = p;
}
"""
FRAGMENT_SHADER = """
#version 330 core
uniform float width_px;
in vec4 colour;
in float across;
out vec4 shown;
void main() {
  float a = colour.a * clamp((1. - abs(across)) * .5 * (width_px + 1.), 0., 1.);
  shown = vec4(colour.rgb * a, a);
}
"""
_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)


@dataclass(frozen=True)
class Segments:
    """Straight lines to draw.

    Attributes:
        ends: [N, 2, 3], world frame.
        rgba: [N, 4] in [0, 1].
        width_px: of all.
        is_hidden_by_mesh: lines behind a mesh are not seen.
    """

    ends: NDArray[np.float32]
    rgba: NDArray[np.float32]
    width_px: float = 1.5
    is_hidden_by_mesh: bool = True


class LinesLayer:
    """Draws segments; all methods need the context to be current."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._program = context.program(vertex_shader=VERTEX_SHADER, fragment_shader=FRAGMENT_SHADER)
        self._arrays: dict[int, tuple[Segments, moderngl.Buffer, moderngl.VertexArray]] = {}

    def draw(self, lines: Sequence[Segments], clip_from_world: Floats, size: tuple[int, int], scale: float) -> None:
        """Draw sets of lines; those not drawn this time are dropped.

        Args:
            size: of the framebuffer, px.
            scale: pixels of the framebuffer in one of the window's.
        """
        for key in set(self._arrays) - {id(segments) for segments in lines}:
            _, buffer, array = self._arrays.pop(key)
            array.release()
            buffer.release()
        write_matrix(self._program, "clip_from_world", clip_from_world)
        self._program["size"] = size
        self._context.enable(moderngl.BLEND)
        self._context.disable(moderngl.CULL_FACE)
        self._context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        for segments in lines:
            if not len(segments.ends):
                continue
            (self._context.enable if segments.is_hidden_by_mesh else self._context.disable)(moderngl.DEPTH_TEST)
            self._program["width_px"] = segments.width_px * scale
            self._array_of(segments).render(moderngl.TRIANGLE_STRIP, vertices=4, instances=len(segments.ends))

    def _array_of(self, segments: Segments) -> moderngl.VertexArray:
        if id(segments) not in self._arrays:
            rows = np.concatenate([segments.ends.reshape(-1, 6), segments.rgba], axis=1).astype("f4")
            buffer = self._context.buffer(rows.tobytes())
            content = [(buffer, "3f 3f 4f /i", "start", "end", "rgba")]
            # The segments are kept with it, so that their id is not given to others.
            self._arrays[id(segments)] = segments, buffer, self._context.vertex_array(self._program, content)
        return self._arrays[id(segments)][2]


def frustum_corners(photo: PhotoFrustum, depth: float) -> Floats:
    """The four corners of a photo at a depth in front of its camera, from the upper left clockwise, [4, 3]."""
    size = np.array([photo.camera.width, photo.camera.height])
    return photo.camera.unproject((_CORNERS + 1) / 2 * size, np.full(4, depth))


def frustum_segments(photos: Sequence[PhotoFrustum], depth: float, chosen: str | None = None) -> Segments:
    """Pyramids from each camera to its photo at a depth; that of the chosen one is bright."""
    ends, rgba = [], []
    for photo in photos:
        corners, center = frustum_corners(photo, depth), photo.camera.center
        ends += [(center, corner) for corner in corners]
        ends += [(corners[i], corners[(i + 1) % 4]) for i in range(4)]
        colour = (1.0, 0.8, 0.2, 1.0) if photo.name == chosen else (*photo.colour, 0.9)
        rgba += [colour] * 8
    return Segments(np.array(ends, np.float32).reshape(-1, 2, 3), np.array(rgba, np.float32).reshape(-1, 4))


def grid_segments(middle: Floats, radius: float, ground: float) -> Segments:
    """A square grid on the ground plane y = `ground` around a scene, its lines a round number apart."""
    step = 10.0 ** np.floor(np.log10(radius)) / 2
    reach = np.ceil(2 * radius / step) * step
    x0, z0 = np.round(np.asarray(middle)[[0, 2]] / step) * step
    offsets = np.arange(-reach, reach + step / 2, step)
    along_x = [((x0 - reach, ground, z0 + o), (x0 + reach, ground, z0 + o)) for o in offsets]
    along_z = [((x0 + o, ground, z0 - reach), (x0 + o, ground, z0 + reach)) for o in offsets]
    ends = np.array(along_x + along_z, np.float32)
    return Segments(ends, np.tile(np.array([0.5, 0.5, 0.5, 0.35], np.float32), (len(ends), 1)), 1.0)


def axis_segments(length: float) -> Segments:
    """x red, y green and z blue, from the origin."""
    ends = np.zeros((3, 2, 3), np.float32)
    ends[:, 1] = length * np.eye(3)
    rgba = np.array([[0.95, 0.3, 0.3, 1], [0.4, 0.8, 0.3, 1], [0.35, 0.55, 1, 1]], np.float32)
    return Segments(ends, rgba, 2.0, is_hidden_by_mesh=False)
