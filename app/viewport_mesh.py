"""The mesh layer: vertex colours or texture as they are, or the bare shape lit from the camera, or its edges."""

import moderngl
import numpy as np

from app.viewport_camera import Floats
from app.viewport_data import MeshArrays, Mode
from app.viewport_uniforms import write_matrix

VERTEX_SHADER = """
#version 330 core
uniform mat4 clip_from_world, cam_from_world;
in vec3 vertex, normal, rgb;
in vec2 uv;
out vec3 colour, place, n;
out vec2 at;
void main() {
  gl_Position = clip_from_world * vec4(vertex, 1);
  place = (cam_from_world * vec4(vertex, 1)).xyz;
  n = mat3(cam_from_world) * normal;
  colour = rgb;
  at = uv;
}
"""
FRAGMENT_SHADER = """
#version 330 core
uniform sampler2D picture;
uniform int look;             // 0: its colours, 1: lit shape, 2: edges
uniform bool has_texture;
in vec3 colour, place, n;
in vec2 at;
out vec4 shown;
void main() {
  vec3 rgb = has_texture ? texture(picture, at).rgb : colour;
  float facing = abs(dot(normalize(n), normalize(place)));
  if (look == 1) rgb = vec3(.78, .77, .75) * (.25 + .75 * facing);
  if (look == 2) rgb = mix(vec3(.45, .7, 1.), rgb, .35) * (.5 + .5 * facing);
  shown = vec4(rgb, 1);
}
"""
_LOOK_OF = {"mesh": 0, "mesh_shape": 1, "wireframe": 2}


class MeshLayer:
    """One mesh on the graphics card; all methods need the context to be current."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._program = context.program(vertex_shader=VERTEX_SHADER, fragment_shader=FRAGMENT_SHADER)
        self._mesh: MeshArrays | None = None
        self._held: list[moderngl.Buffer | moderngl.Texture | moderngl.VertexArray] = []

    def upload(self, mesh: MeshArrays) -> None:
        """Upload a mesh unless it is there already."""
        if mesh is self._mesh:
            return
        for held in self._held:
            held.release()
        context, uv = self._context, mesh.uv
        uv = np.zeros((len(mesh.vertices), 2), np.float32) if uv is None else uv
        buffers = [context.buffer(np.ascontiguousarray(a)) for a in (mesh.vertices, mesh.normals, mesh.rgb, uv)]
        content = list(zip(buffers, ("3f", "3f", "3f1", "2f"), ("vertex", "normal", "rgb", "uv"), strict=True))
        faces = context.buffer(mesh.faces)
        self._triangles = context.vertex_array(self._program, content, index_buffer=faces, index_element_size=4)
        texture = np.full((1, 1, 3), 255, np.uint8) if mesh.texture is None else mesh.texture
        height, width = texture.shape[:2]
        self._texture = context.texture((width, height), 3, np.ascontiguousarray(texture), alignment=1)
        self._texture.build_mipmaps()
        self._held = [self._triangles, self._texture, faces, *buffers]
        self._mesh = mesh

    def draw(self, clip_from_world: Floats, cam_from_world: Floats, mode: Mode) -> None:
        """Draw the uploaded mesh into the bound framebuffer, with depth."""
        if self._mesh is None:
            return
        write_matrix(self._program, "clip_from_world", clip_from_world)
        write_matrix(self._program, "cam_from_world", cam_from_world)
        self._program["look"] = _LOOK_OF[mode]
        self._program["has_texture"] = self._mesh.texture is not None
        self._texture.use(0)
        self._context.disable(moderngl.BLEND | moderngl.CULL_FACE)  # open surfaces have two sides
        self._context.enable(moderngl.DEPTH_TEST)
        self._context.wireframe = mode == "wireframe"
        self._triangles.render(moderngl.TRIANGLES)
        self._context.wireframe = False
