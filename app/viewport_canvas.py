"""Pictures beside the window's own: the splats of one view, blended piece by piece and shown when complete."""

from dataclasses import dataclass

import moderngl

from app.viewport_data import Mode
from app.viewport_programs import Programs

VERTEX_SHADER = """
out vec2 place;
void main() {
  place = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.;
  gl_Position = vec4(place * 2. - 1., 0, 1);
}
"""
# "value" is 0 for colours, 1 for depths, 2 for normals.
FRAGMENT_SHADER = """
uniform sampler2D picture;
uniform vec2 depth_range;
in vec2 place;
out vec4 colour;

// Polynomial approximation of the colour map Turbo (Mikhailov, Google AI blog, 2019), Apache-2.0.
vec3 turbo(float x) {
  vec4 v = vec4(1., x, x * x, x * x * x);
  vec2 w = v.zw * v.z;
  return vec3(
    dot(v, vec4(.13572138, 4.61539260, -42.66032258, 132.13108234)) + dot(w, vec2(-152.94239396, 59.28637943)),
    dot(v, vec4(.09140261, 2.19418839, 4.84296658, -14.18503333)) + dot(w, vec2(4.27729857, 2.82956604)),
    dot(v, vec4(.10667330, 12.64194608, -60.58204836, 110.36276771)) + dot(w, vec2(-89.90310912, 27.34824973)));
}

void main() {
  vec4 p = texture(picture, place);
  vec3 rgb = p.rgb;  // premultiplied
  if (value == 1) {
    float share = clamp((p.r / max(p.a, 1e-4) - depth_range.x) / (depth_range.y - depth_range.x), 0., 1.);
    rgb = p.a * clamp(turbo(.05 + .9 * (1. - share)), 0., 1.);
  }
  if (value == 2) rgb = p.a * (vec3(.5) + .5 * vec3(1, -1, -1) * p.rgb / max(length(p.rgb), 1e-6));
  colour = vec4(rgb, p.a);
}
"""
_VALUE_OF = {"depth": 1, "normals": 2}


@dataclass
class _Sheet:
    """A picture and what its values mean."""

    framebuffer: moderngl.Framebuffer
    texture: moderngl.Texture
    size: tuple[int, int]
    dtype: str
    mode: Mode = "splats"
    depth_range: tuple[float, float] = (0.0, 1.0)


class Canvas:
    """Two pictures of any size: one is drawn into while the other is shown."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._programs = Programs(context, VERTEX_SHADER, FRAGMENT_SHADER, ("picture",))
        self._hidden: _Sheet | None = None
        self._shown: _Sheet | None = None

    @property
    def is_filled(self) -> bool:
        """There is a picture to show."""
        return self._shown is not None

    def begin(self, size: tuple[int, int], mode: Mode, depth_range: tuple[float, float]) -> None:
        """Clear the hidden picture for a size in px and a mode; depths are coloured between those of the range."""
        dtype = "f2" if mode in _VALUE_OF else "f1"
        if self._hidden is None or (self._hidden.size, self._hidden.dtype) != (size, dtype):
            if self._hidden is not None:
                self._hidden.texture.release()
                self._hidden.framebuffer.release()
            texture = self._context.texture(size, 4, dtype=dtype)
            texture.repeat_x = texture.repeat_y = False
            self._hidden = _Sheet(self._context.framebuffer([texture]), texture, size, dtype)
        self._hidden.mode, self._hidden.depth_range = mode, depth_range
        self._hidden.framebuffer.clear(0, 0, 0, 0)

    def use(self) -> None:
        """Draw into the hidden picture from now on."""
        assert self._hidden is not None
        self._hidden.framebuffer.use()

    def show(self) -> None:
        """The hidden picture is complete: it is the one to show."""
        self._hidden, self._shown = self._shown, self._hidden

    def compose(self) -> None:
        """Lay the shown picture, stretched, over what the bound framebuffer holds."""
        assert self._shown is not None
        self._shown.texture.use(0)
        bound = self._programs.of(value=_VALUE_OF.get(self._shown.mode, 0))
        bound.set(depth_range=self._shown.depth_range)
        self._context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        self._context.enable(moderngl.BLEND)
        self._context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        bound.vertices.render(moderngl.TRIANGLES, vertices=3)
