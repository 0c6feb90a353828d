// Draws splats with WebGL2 by the rules of `splatting/rasterizer.py`: EWA splatting, 2D covariance + 0.3 px^2, opacity clamped
// at 0.999, contributions below 1/255 skipped, front to back. (It does not end a pixel at a transmittance of 1e-4.)

const NEAR = 0.01, BLUR_PX2 = 0.3;
const TEXELS_PER_ROW = 2048; // every WebGL2 device has textures of this width

const SPLAT_VERTEX = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D u_records;
uniform highp sampler2D u_harmonics;
uniform mat3 u_rotation; // camera from world
uniform vec3 u_eye;
uniform vec4 u_lens;     // fx, fy, cx, cy in pixels
uniform vec2 u_size;     // of the picture in pixels
uniform float u_near;
uniform float u_blur;       // px^2, added to the 2D covariance
uniform float u_shownDepth; // 0: show colours; else show depth times this
uniform int u_harmonicsPerRow;
layout(location = 0) in uint a_splat;
flat out vec4 v_colour;
out vec2 v_offset; // from the centre in standard deviations

const float MIN_ALPHA = 1.0 / 255.0, VIEW_MARGIN = 0.3;

mat3 rotationOf(uint bits) { // the three smaller components, ten bits each, and which one is missing
  vec3 three = (vec3(bits & 1023u, (bits >> 10) & 1023u, (bits >> 20) & 1023u) / 511.5 - 1.0) * 0.7071067811865476;
  float largest = sqrt(max(0.0, 1.0 - dot(three, three)));
  uint place = bits >> 30;
  vec4 q = place == 0u ? vec4(largest, three) : place == 1u ? vec4(three.x, largest, three.yz)
         : place == 2u ? vec4(three.xy, largest, three.z) : vec4(three, largest);
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),  // columns
              2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
              2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

vec3 harmonic(int splat, int k) {
  int row = splat / u_harmonicsPerRow;
  vec3 bytes = texelFetch(u_harmonics, ivec2((splat - row * u_harmonicsPerRow) * HARMONICS + k, row), 0).rgb * 255.0;
  return (bytes - 128.0) / 128.0;
}

vec3 viewDependent(int splat, vec3 d) {
  vec3 sum = vec3(0.0);
#if HARMONICS >= 3
  float x = d.x, y = d.y, z = d.z;
  sum += 0.4886025119029199 * (-y * harmonic(splat, 0) + z * harmonic(splat, 1) - x * harmonic(splat, 2));
#endif
#if HARMONICS >= 8
  float xx = x * x, yy = y * y, zz = z * z;
  sum += 1.0925484305920792 * (x * y * harmonic(splat, 3) - y * z * harmonic(splat, 4) - x * z * harmonic(splat, 6));
  sum += 0.31539156525252005 * (3.0 * zz - 1.0) * harmonic(splat, 5) + 0.5462742152960396 * (xx - yy) * harmonic(splat, 7);
#endif
#if HARMONICS >= 15
  sum += 0.5900435899266435 * (-y * (3.0 * xx - yy) * harmonic(splat, 8) - x * (xx - 3.0 * yy) * harmonic(splat, 14));
  sum += 2.890611442640554 * x * y * z * harmonic(splat, 9) + 1.445305721320277 * z * (xx - yy) * harmonic(splat, 13);
  sum -= 0.4570457994644658 * (5.0 * zz - 1.0) * (y * harmonic(splat, 10) + x * harmonic(splat, 12));
  sum += 0.3731763325901154 * z * (5.0 * zz - 3.0) * harmonic(splat, 11);
#endif
  return sum;
}

void main() {
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0); // outside: not drawn
  int splat = int(a_splat);
  ivec2 at = ivec2(2 * (splat % ${TEXELS_PER_ROW / 2}), splat / ${TEXELS_PER_ROW / 2});
  uvec4 first = texelFetch(u_records, at, 0), second = texelFetch(u_records, at + ivec2(1, 0), 0);
  vec3 fromEye = uintBitsToFloat(first.xyz) - u_eye;
  vec3 p = u_rotation * fromEye;
  vec2 scaleZ_opacity = unpackHalf2x16(second.y);
  float opacity = scaleZ_opacity.y;
  if (p.z < u_near || opacity < MIN_ALPHA) return;

  mat3 axes = u_rotation * rotationOf(first.w); // columns: the Gaussian's axes in the camera frame
  vec3 scale = exp(vec3(unpackHalf2x16(second.x), scaleZ_opacity.x));
  vec2 t = p.xy / p.z, margin = VIEW_MARGIN * 0.5 * u_size / u_lens.xy;
  vec2 kept = clamp(t, -u_lens.zw / u_lens.xy - margin, (u_size - u_lens.zw) / u_lens.xy + margin);
  vec3 towards = vec3(axes[0].z, axes[1].z, axes[2].z);
  vec3 a = u_lens.x / p.z * (vec3(axes[0].x, axes[1].x, axes[2].x) - kept.x * towards) * scale;
  vec3 b = u_lens.y / p.z * (vec3(axes[0].y, axes[1].y, axes[2].y) - kept.y * towards) * scale;
  // Lagrange's identity: var_x var_y - cov^2 would lose its digits for long ellipses.
  vec3 area = cross(a, b);
  float aa = dot(a, a), bb = dot(b, b), cov = dot(a, b);
  float determinant = dot(area, area) + u_blur * (aa + bb + u_blur);
  float sigma_x = sqrt(aa + u_blur), sigma_y = sqrt(bb + u_blur);
  float radius = sqrt(2.0 * log(opacity / MIN_ALPHA)); // where the opacity falls to 1/255
  vec2 center = t * u_lens.xy + u_lens.zw, extent = radius * vec2(sigma_x, sigma_y);
  if (any(lessThan(center + extent, vec2(0.0))) || any(greaterThan(center - extent, u_size))) return;

  // The Cholesky factor of the covariance maps the unit circle to the ellipse, and the square around it to a parallelogram
  // of the same area as the rectangle along the ellipse's axes.
  v_offset = radius * (vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0);
  vec2 pixel = center + vec2(sigma_x * v_offset.x, (cov * v_offset.x + sqrt(determinant) * v_offset.y) / sigma_x);
  vec2 ndc = pixel / u_size * 2.0 - 1.0;
  gl_Position = vec4(ndc.x, -ndc.y, 0.0, 1.0);

  vec3 colour = vec3(unpackHalf2x16(second.z), unpackHalf2x16(second.w).x) + viewDependent(splat, normalize(fromEye));
  v_colour = vec4(u_shownDepth > 0.0 ? vec3(p.z * u_shownDepth) : max(colour, 0.0), opacity);
}`;

const SPLAT_FRAGMENT = `#version 300 es
precision highp float;
flat in vec4 v_colour;
in vec2 v_offset;
out vec4 o_colour;
void main() {
  float alpha = min(0.999, v_colour.a * exp(-0.5 * dot(v_offset, v_offset)));
  if (alpha < 1.0 / 255.0) discard;
  o_colour = vec4(v_colour.rgb * alpha, alpha);
}`;

const SHOW_VERTEX = `#version 300 es
uniform vec2 u_used; // part of the texture that was drawn to
out vec2 v_at;
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0; // a triangle that covers the window
  v_at = corner * u_used;
  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}`;

const SHOW_FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D u_picture;
uniform vec2 u_last; // where the last texel's centre lies
uniform vec3 u_background;
in vec2 v_at;
out vec4 o_colour;
void main() {
  vec4 picture = texture(u_picture, min(v_at, u_last));
  o_colour = vec4(picture.rgb + (1.0 - picture.a) * u_background, 1.0);
}`;

/** What draws the splats on a canvas; throws when WebGL2 is missing or the scene is too large for it. */
function createRenderer(canvas, splats, background) {
  const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, powerPreference: "high-performance" });
  if (!gl) throw new Error("no WebGL2");
  const isFloat = Boolean(gl.getExtension("EXT_color_buffer_float") || gl.getExtension("EXT_color_buffer_half_float"));
  const draw = createProgram(gl, SPLAT_VERTEX.replace("precision", `#define HARMONICS ${splats.numHarmonics}\nprecision`), SPLAT_FRAGMENT);
  const show = createProgram(gl, SHOW_VERTEX, SHOW_FRAGMENT);
  const records = recordTexture(gl, splats);
  const harmonics = harmonicsTexture(gl, splats);
  const picture = createTexture(gl, gl.LINEAR), target = gl.createFramebuffer();
  const order = gl.createBuffer(), instances = gl.createVertexArray(), nothing = gl.createVertexArray();
  gl.bindVertexArray(instances);
  gl.bindBuffer(gl.ARRAY_BUFFER, order);
  gl.bufferData(gl.ARRAY_BUFFER, 4 * splats.count, gl.DYNAMIC_DRAW);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribIPointer(0, 1, gl.UNSIGNED_INT, 0, 0);
  gl.vertexAttribDivisor(0, 1);
  let num = 0;

  function resize(width, height) {
    [canvas.width, canvas.height] = [width, height];
    gl.bindTexture(gl.TEXTURE_2D, picture);
    if (isFloat) gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA16F, width, height, 0, gl.RGBA, gl.HALF_FLOAT, null);
    else gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, picture, 0);
    const status = gl.checkFramebufferStatus(gl.FRAMEBUFFER);
    if (status !== gl.FRAMEBUFFER_COMPLETE && !gl.isContextLost()) throw new Error(`drawing surface refused (${status})`);
  }

  /** Takes the numbers of the splats to draw, nearest first. */
  function setOrder(numbers) {
    num = numbers.length;
    gl.bindBuffer(gl.ARRAY_BUFFER, order);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, numbers);
  }

  function drawSplats(pinhole, blur, shownDepth) {
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    gl.viewport(0, 0, pinhole.width, pinhole.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE_MINUS_DST_ALPHA, gl.ONE); // what is behind shows through what is there already
    gl.useProgram(draw.program);
    gl.activeTexture(gl.TEXTURE1), gl.bindTexture(gl.TEXTURE_2D, harmonics.texture);
    gl.activeTexture(gl.TEXTURE0), gl.bindTexture(gl.TEXTURE_2D, records);
    gl.uniform1i(draw.u_records, 0), gl.uniform1i(draw.u_harmonics, 1);
    gl.uniform1i(draw.u_harmonicsPerRow, harmonics.perRow);
    gl.uniformMatrix3fv(draw.u_rotation, true, pinhole.rotation);
    gl.uniform3fv(draw.u_eye, pinhole.eye);
    gl.uniform4f(draw.u_lens, pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy);
    gl.uniform2f(draw.u_size, pinhole.width, pinhole.height);
    gl.uniform1f(draw.u_near, NEAR), gl.uniform1f(draw.u_blur, blur), gl.uniform1f(draw.u_shownDepth, shownDepth);
    gl.bindVertexArray(instances);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, num);
  }

  /** Draws with a pinhole of the canvas's size, at `quality` times its pixels in either direction. */
  function render(pinhole, quality) {
    const width = Math.max(1, Math.round(canvas.width * quality)), height = Math.max(1, Math.round(canvas.height * quality));
    // The blur stays that of the whole picture: a wider one would make it brighter while moving.
    drawSplats(resizedPinhole(pinhole, width, height), BLUR_PX2 * quality ** 2, 0);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.disable(gl.BLEND);
    gl.useProgram(show.program);
    gl.bindTexture(gl.TEXTURE_2D, picture);
    gl.uniform1i(show.u_picture, 0);
    gl.uniform2f(show.u_used, width / canvas.width, height / canvas.height);
    gl.uniform2f(show.u_last, (width - 0.5) / canvas.width, (height - 0.5) / canvas.height);
    gl.uniform3fv(show.u_background, background);
    gl.bindVertexArray(nothing);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Mean depth of what is seen at a pixel of the canvas, null where little is; spoils the picture: render again. */
  function depthAt(pinhole, x, y, farthest) {
    const row = canvas.height - 1 - y; // rows count from below here
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(x, row, 1, 1);
    drawSplats(pinhole, BLUR_PX2, 1 / farthest);
    gl.disable(gl.SCISSOR_TEST);
    const [pixel, type, whole] = isFloat ? [new Float32Array(4), gl.FLOAT, 1] : [new Uint8Array(4), gl.UNSIGNED_BYTE, 255];
    gl.readPixels(x, row, 1, 1, gl.RGBA, type, pixel);
    return pixel[3] < 0.3 * whole ? null : pixel[0] / pixel[3] * farthest;
  }

  return { resize, setOrder, render, depthAt, isFloat };
}

/** A program and the places of its uniforms. */
function createProgram(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    const logs = gl.getAttachedShaders(program).map((shader) => gl.getShaderInfoLog(shader));
    throw new Error([gl.getProgramInfoLog(program), ...logs].join("\n"));
  }
  const places = { program };
  for (let i = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS) - 1; i >= 0; i--) {
    const { name } = gl.getActiveUniform(program, i);
    places[name] = gl.getUniformLocation(program, name);
  }
  return places;
}

function createTexture(gl, filter) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  for (const size of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, size, filter);
  return texture;
}

function checkedRows(gl, rows) {
  if (rows > gl.getParameter(gl.MAX_TEXTURE_SIZE)) throw new Error("This scene has more splats than this device can hold.");
  return Math.max(1, rows);
}

/** Two texels for each splat. */
function recordTexture(gl, { count, records }) {
  const texture = createTexture(gl, gl.NEAREST);
  const rows = checkedRows(gl, Math.ceil(2 * count / TEXELS_PER_ROW));
  const padded = new Uint32Array(4 * TEXELS_PER_ROW * rows);
  padded.set(records);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32UI, TEXELS_PER_ROW, rows, 0, gl.RGBA_INTEGER, gl.UNSIGNED_INT, padded);
  return texture;
}

/** One texel for each coefficient above the constant one: its red, green and blue. */
function harmonicsTexture(gl, { count, numHarmonics, harmonics }) {
  const texture = createTexture(gl, gl.NEAREST);
  const perRow = Math.floor(Math.min(gl.getParameter(gl.MAX_TEXTURE_SIZE), 8192) / Math.max(numHarmonics, 1));
  const width = Math.max(1, perRow * numHarmonics), rows = checkedRows(gl, Math.ceil(count / perRow));
  const padded = new Uint8Array(3 * width * (numHarmonics ? rows : 1));
  padded.set(harmonics);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, width, numHarmonics ? rows : 1, 0, gl.RGB, gl.UNSIGNED_BYTE, padded);
  return { texture, perRow };
}
