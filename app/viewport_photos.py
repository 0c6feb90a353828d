"""The photo layer: photos standing in front of their cameras, and one laid over the picture."""

from collections.abc import Sequence

import moderngl
import numpy as np

from app.viewport_camera import Floats
from app.viewport_data import PhotoFrustum
from app.viewport_lines import frustum_corners
from app.viewport_uniforms import write_array, write_matrix
from splatting.camera import Camera

THUMBNAIL_PX = 320  # longest side of a photo in space
COVERING = 0.75  # photo depths: a camera nearer to the eye has its photo right before it

VERTEX_SHADER = """
#version 330 core
uniform mat4 clip_from_world;
uniform vec3 corners[4];
out vec2 at;
void main() {
  at = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  gl_Position = clip_from_world * vec4(corners[(gl_VertexID & 2) == 0 ? gl_VertexID : 5 - gl_VertexID], 1);
}
"""
FRAGMENT_SHADER = """
#version 330 core
uniform sampler2D picture;
uniform float opacity;
in vec2 at;
out vec4 shown;
void main() { shown = vec4(texture(picture, at).rgb * opacity, opacity); }
"""


class PhotoLayer:
    """Photos on the graphics card; all methods need the context to be current."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._program = context.program(vertex_shader=VERTEX_SHADER, fragment_shader=FRAGMENT_SHADER)
        self._quad = context.vertex_array(self._program, [])
        self._textures: dict[tuple[int, bool], tuple[PhotoFrustum, moderngl.Texture]] = {}

    def keep(self, photos: Sequence[PhotoFrustum]) -> None:
        """Drop what was uploaded of other photos."""
        kept = {id(photo) for photo in photos}
        for key in [key for key in self._textures if key[0] not in kept]:
            self._textures.pop(key)[1].release()

    def draw(self, photos: Sequence[PhotoFrustum], depth: float, clip_from_world: Floats, eye: Floats) -> None:
        """Draw photos at a depth in front of their cameras, the farthest first; not the one that would cover all."""
        self._begin(clip_from_world, 0.9)
        self._context.enable(moderngl.DEPTH_TEST)
        placed = [(frustum_corners(photo, depth), photo) for photo in photos if photo.rgb is not None]
        placed = [item for item in placed if np.linalg.norm(item[1].camera.center - eye) > COVERING * depth]
        for corners, photo in sorted(placed, key=lambda item: -np.linalg.norm(item[0].mean(axis=0) - eye)):
            self._draw_one(photo, corners, is_full_size=False)

    def lay_over(self, photo: PhotoFrustum, camera: Camera, share: float, opacity: float) -> None:
        """Cover the left `share` of the framebuffer with the photo where it belongs in the picture of a camera.

        Right only where the camera stands where the photo's does and looks the same way.
        """
        x0, y0, x1, y1 = photo_in_picture(photo.camera, camera)
        left, top = 2 * x0 / camera.width - 1, 1 - 2 * y0 / camera.height
        right, bottom = 2 * x1 / camera.width - 1, 1 - 2 * y1 / camera.height
        corners = np.array([[left, top, 0], [right, top, 0], [right, bottom, 0], [left, bottom, 0]])
        self._begin(np.eye(4), opacity)
        self._context.disable(moderngl.DEPTH_TEST)
        framebuffer = self._context.fbo
        framebuffer.scissor = 0, 0, max(round(share * camera.width), 0), camera.height
        self._draw_one(photo, corners, is_full_size=True)
        if 0 < share < 1:
            framebuffer.scissor = round(share * camera.width), 0, 2, camera.height
            framebuffer.clear(1.0, 1.0, 1.0, 1.0)
        framebuffer.scissor = 0, 0, camera.width, camera.height

    def _begin(self, clip_from_world: Floats, opacity: float) -> None:
        write_matrix(self._program, "clip_from_world", clip_from_world)
        self._program["opacity"] = opacity
        self._context.enable(moderngl.BLEND)
        self._context.disable(moderngl.CULL_FACE)
        self._context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA

    def _draw_one(self, photo: PhotoFrustum, corners: Floats, *, is_full_size: bool) -> None:
        write_array(self._program, "corners", corners)
        self._texture_of(photo, is_full_size).use(0)
        self._quad.render(moderngl.TRIANGLE_STRIP, vertices=4)

    def _texture_of(self, photo: PhotoFrustum, is_full_size: bool) -> moderngl.Texture:
        key = (id(photo), is_full_size)
        if key not in self._textures:
            assert photo.rgb is not None
            step = 1 if is_full_size else max(max(photo.rgb.shape[:2]) // THUMBNAIL_PX, 1)
            rgb = np.ascontiguousarray(photo.rgb[::step, ::step])
            texture = self._context.texture((rgb.shape[1], rgb.shape[0]), 3, rgb, alignment=1)
            texture.build_mipmaps()
            self._textures[key] = photo, texture
        return self._textures[key][1]


def photo_in_picture(photo: Camera, camera: Camera) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a photo in the picture of a camera with the same pose, px."""
    scale = camera.K[[0, 1], [0, 1]] / photo.K[[0, 1], [0, 1]]
    x0, y0 = camera.K[:2, 2] - scale * photo.K[:2, 2]
    return float(x0), float(y0), float(x0 + scale[0] * photo.width), float(y0 + scale[1] * photo.height)
