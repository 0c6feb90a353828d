"""The splat layer: Gaussians as triangles with the rasterizer's rules (2D covariance + 0.3 px^2, nothing below 1/255).

The vertex shader projects a Gaussian as in `splatting/native/project.h`, once per corner of the triangle around its
ellipse: in software that takes 15 to 25 % less time than a quad. Parameters lie in float textures and corners are
numbered, without instances: of those, one per Gaussian costs software renderers more than the Gaussian itself.
"""

import math

import moderngl
import numpy as np
from numpy.typing import NDArray

from app.viewport_data import Mode, PreparedSplats
from app.viewport_programs import Programs
from app.viewport_sorting import SortedView
from app.viewport_uniforms import write_matrix
from splatting.camera import Camera

TEXTURE_WIDTH = 2048
SAMPLERS = ("places", "shapes", "colours", "order")
POINT_SIZE_PX = 1.5  # half the side of a point
FEW_POINTS = 10_000  # fewer are drawn up to twice as large
_SHAPE_OF = {"splats": 0, "depth": 0, "normals": 0, "points": 1, "rings": 2, "ellipsoids": 3}
_VALUE_OF = {"depth": 1, "normals": 2}

VERTEX_SHADER = """
uniform sampler2D places;      // x y z opacity
uniform sampler2D shapes;      // two texels each: xx xy xz yy, yz zz and the shortest axis
uniform sampler2D colours;
uniform usampler2D order;
uniform mat4 cam_from_world;
uniform vec4 lens;             // fx fy cx cy
uniform vec2 size;
uniform int first;
uniform float near, enlargement, point_size;
out vec2 offset;               // from the middle, in standard deviations
flat out vec4 paint;           // what is blended, and the opacity

const int WIDTH = 2048;

ivec2 cell(int i) { return ivec2(i % WIDTH, i / WIDTH); }

vec3 shortest_axis(vec2 folded) {
  vec3 n = vec3(folded, 1. - abs(folded.x) - abs(folded.y));
  if (n.z < 0.) n.xy = (1. - abs(n.yx)) * vec2(n.x >= 0. ? 1. : -1., n.y >= 0. ? 1. : -1.);
  return normalize(n);
}

void main() {
  gl_Position = vec4(0, 0, 2, 1);  // outside
  offset = vec2(0);
  paint = vec4(0);
  int i = int(texelFetch(order, cell(first + gl_VertexID / 3), 0).r);
  vec4 place = texelFetch(places, cell(i), 0);
  vec3 c = (cam_from_world * vec4(place.xyz, 1.)).xyz;
  float opacity = place.w;
  if (c.z < near || opacity < (shape == 1 || shape == 3 ? .1 : 1. / 255.)) return;
  ivec2 at = ivec2(i % WIDTH * 2, i / WIDTH);
  vec4 s = texelFetch(shapes, at, 0), t = texelFetch(shapes, at + ivec2(1, 0), 0);
  mat3 world = mat3(s.x, s.y, s.z, s.y, s.w, t.x, s.z, t.x, t.y);
  // The Jacobian is taken at most 0.3 of half the view outside of it, as in the rasterizer.
  vec2 tangent = c.xy / c.z, margin = .15 * size / lens.xy;
  vec2 kept = clamp(tangent, -lens.zw / lens.xy - margin, (size - lens.zw) / lens.xy + margin);
  mat3 W = mat3(cam_from_world);
  vec3 row_x = lens.x / c.z * (vec3(W[0].x, W[1].x, W[2].x) - kept.x * vec3(W[0].z, W[1].z, W[2].z));
  vec3 row_y = lens.y / c.z * (vec3(W[0].y, W[1].y, W[2].y) - kept.y * vec3(W[0].z, W[1].z, W[2].z));
  vec3 sx = world * row_x, sy = world * row_y;
  float xx = dot(row_x, sx) + .3, yy = dot(row_y, sy) + .3, xy = dot(row_x, sy);
  float mid = .5 * (xx + yy), half_gap = length(vec2(.5 * (xx - yy), xy));
  float large = mid + half_gap, small = max(mid - half_gap, .3);
  vec2 along = half_gap < 1e-6 ? vec2(1, 0) : (xx >= yy ? normalize(vec2(xx - yy + 2. * half_gap, 2. * xy))
                                                        : normalize(vec2(2. * xy, yy - xx + 2. * half_gap)));
  float reach = sqrt(2. * log(255. * opacity));  // here the opacity falls to 1/255
  if (shape == 3) reach = 1.5;
  vec2 axis_x = sqrt(large) * along * enlargement, axis_y = sqrt(small) * vec2(-along.y, along.x) * enlargement;
  if (shape == 1) { reach = 1.; axis_x = vec2(point_size, 0); axis_y = vec2(0, point_size); }
  int k = gl_VertexID % 3;  // of an equilateral triangle around the unit circle
  vec2 corner = reach * (k == 0 ? vec2(0, 2) : vec2(k == 1 ? -1.7320508 : 1.7320508, -1));
  vec2 pixel = lens.xy * tangent + lens.zw + corner.x * axis_x + corner.y * axis_y;
  gl_Position = vec4(pixel.x / size.x * 2. - 1., 1. - pixel.y / size.y * 2., 0, 1);
  offset = corner;
  paint = vec4(texelFetch(colours, cell(i), 0).rgb, opacity);
  if (value == 1) paint.rgb = vec3(c.z);
  if (value == 2) {
    vec3 n = W * shortest_axis(t.zw);
    paint.rgb = dot(n, c) > 0. ? -n : n;
  }
}
"""

FRAGMENT_SHADER = """
in vec2 offset;
flat in vec4 paint;
out vec4 blended;
void main() {
  float r2 = dot(offset, offset), alpha = min(paint.a * exp(-.5 * r2), .999);
  vec3 rgb = paint.rgb;
  if (shape == 0 || shape == 2) {
    if (alpha < 1. / 255.) discard;
    if (shape == 2) {
      float edge = sqrt(2. * log(255. * paint.a)), r = sqrt(r2);
      alpha = r > .85 * edge ? .6 : .06 * paint.a;
    }
  } else if (shape == 1) {
    if (r2 > 1.) discard;
    alpha = 1.;
  } else {
    if (r2 > 2.25) discard;
    rgb *= .55 + .45 * sqrt(1. - r2 / 2.25);  // lit from the camera
    alpha = 1.;
  }
  blended = vec4(rgb * alpha, alpha);
}
"""


class SplatLayer:
    """Splats on the graphics card; all methods need the context to be current."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._programs = Programs(context, VERTEX_SHADER, FRAGMENT_SHADER, SAMPLERS)
        self._textures: dict[str, moderngl.Texture] = {}
        self._splats: PreparedSplats | None = None

    def upload(self, splats: PreparedSplats) -> None:
        """Upload the parameters of splats unless they are there already."""
        if splats is self._splats:
            return
        for texture in self._textures.values():
            texture.release()
        height = max(-(-len(splats) // TEXTURE_WIDTH), 1)
        self._textures = {
            "places": self._texture(height, 4, "f4"),
            "shapes": self._texture(height, 4, "f4", texels=2),
            "colours": self._texture(height, 4, "f1"),
            "order": self._texture(height, 1, "u4"),
        }
        self._write("places", splats.places)
        self._write("shapes", splats.shapes)
        self._splats = splats

    def upload_view(self, view: SortedView, order: NDArray[np.uint32]) -> None:
        """Upload colours and the order in which to draw: `view.order` or a part of it."""
        self.upload(view.splats)
        self._write("colours", view.rgbx)
        self._write("order", order)

    def draw(self, camera: Camera, mode: Mode, first: int, count: int, enlargement: float = 1.0) -> None:
        """Draw `count` splats of the order from the `first` on into the bound framebuffer, premultiplied.

        In the modes "depth" and "normals" their depths or normals (camera axes) are blended in place of colours.
        """
        if self._splats is None or count <= 0:
            return
        bound = self._programs.of(shape=_SHAPE_OF[mode], value=_VALUE_OF.get(mode, 0))
        write_matrix(bound.program, "cam_from_world", camera.cam_from_world)
        bound.set(
            lens=tuple(camera.K[[0, 1, 0, 1], [0, 1, 2, 2]]),
            size=(camera.width, camera.height),
            first=first,
            near=0.01,
            enlargement=enlargement,
            point_size=self._point_size * max(1.0, camera.height / 1000),
        )
        for unit, name in enumerate(SAMPLERS):
            self._textures[name].use(unit)
        self._context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        self._context.enable(moderngl.BLEND)
        self._context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        bound.vertices.render(moderngl.TRIANGLES, vertices=3 * count)

    @property
    def _point_size(self) -> float:
        count = 0 if self._splats is None else len(self._splats)
        return POINT_SIZE_PX * min(max((FEW_POINTS / max(count, 1)) ** 0.5, 1.0), 2.0)

    def _texture(self, height: int, components: int, dtype: str, texels: int = 1) -> moderngl.Texture:
        texture = self._context.texture((TEXTURE_WIDTH * texels, height), components, dtype=dtype)
        texture.filter = moderngl.NEAREST, moderngl.NEAREST
        return texture

    def _write(self, name: str, values: NDArray[np.generic]) -> None:
        """Write values row by row: whole rows at once, then what remains of the last."""
        texture = self._textures[name]
        data = np.ascontiguousarray(values).reshape(len(values), math.prod(values.shape[1:]))  # there may be none
        texels = 2 if name == "shapes" else 1
        rows, rest = divmod(len(data), TEXTURE_WIDTH)
        if rows:
            texture.write(data[: rows * TEXTURE_WIDTH].data, (0, 0, TEXTURE_WIDTH * texels, rows))
        if rest:
            texture.write(data[rows * TEXTURE_WIDTH :].data, (0, rows, rest * texels, 1))
