// Where one looks from. World: +Y is up. Camera axes: x right, y down, z forward; pixel (0.5, 0.5) is the first one's centre.
//
// A pose looks at `target` from `distance` along a direction given by `yaw` (about +Y, 0 looks along +Z), `pitch` (up is
// positive) and `roll` (about the line of sight), through a `lens`: {fx, fy, cx, cy, width, height} in the pixels of a frame
// that is to be seen whole, and `cover` between 0 (all of the frame is inside the window) and 1 (the window is inside it).

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const along = (a, b, length) => [a[0] + b[0] * length, a[1] + b[1] * length, a[2] + b[2] * length];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const mix = (a, b, share) => a + (b - a) * share;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Unit vectors right, down and forward of a pose, in the world: the rows of the rotation from world to camera. */
function axesOf({ yaw, pitch, roll }) {
  const forward = [Math.cos(pitch) * Math.sin(yaw), Math.sin(pitch), Math.cos(pitch) * Math.cos(yaw)];
  const level = [-Math.cos(yaw), 0, Math.sin(yaw)];
  const down = cross(forward, level);
  const c = Math.cos(roll), s = Math.sin(roll);
  return { right: along(level.map((v) => c * v), down, s), down: along(down.map((v) => c * v), level, -s), forward };
}

function eyeOf(pose) {
  return along(pose.target, axesOf(pose).forward, -pose.distance);
}

/** The pose of a photo: `camFromWorld` is 3 x 4, row by row; `focus` is how far away is what it shows. */
function poseOfCamera({ camFromWorld: m, lens, focus }, cover) {
  const rows = [m.slice(0, 3), m.slice(4, 7), m.slice(8, 11)];
  const t = [m[3], m[7], m[11]];
  const eye = [0, 1, 2].map((axis) => -(rows[0][axis] * t[0] + rows[1][axis] * t[1] + rows[2][axis] * t[2]));
  const forward = rows[2];
  const pose = { yaw: Math.atan2(forward[0], forward[2]), pitch: Math.asin(clamp(forward[1], -1, 1)), roll: 0 };
  const level = axesOf(pose);
  pose.roll = Math.atan2(dot(rows[0], level.down), dot(rows[0], level.right));
  return { ...pose, target: along(eye, forward, focus), distance: focus, lens: { ...lens, cover } };
}

/**
 * What the renderer needs of a pose in a window: rotation (rows one after the other), eye, and fx, fy, cx, cy in window pixels.
 * `bottom` pixels of the window are covered by something; the frame is fitted into the rest.
 */
function pinholeOf(pose, width, height, bottom) {
  const { lens } = pose;
  const { right, down, forward } = axesOf(pose);
  const free = Math.max(height - bottom, height / 2);
  const x = width / lens.width, y = free / lens.height;
  const scale = Math.min(x, y) ** (1 - lens.cover) * Math.max(x, y) ** lens.cover;
  return {
    rotation: [...right, ...down, ...forward], eye: eyeOf(pose), width, height,
    fx: lens.fx * scale, fy: lens.fy * scale,
    cx: width / 2 + (lens.cx - lens.width / 2) * scale, cy: free / 2 + (lens.cy - lens.height / 2) * scale,
  };
}

/** The same view with another number of pixels. */
function resizedPinhole(pinhole, width, height) {
  const x = width / pinhole.width, y = height / pinhole.height;
  return { ...pinhole, width, height, fx: pinhole.fx * x, cx: pinhole.cx * x, fy: pinhole.fy * y, cy: pinhole.cy * y };
}

/** Pixel and depth [x, y, z] of a world point; the pixel means nothing unless z > 0. */
function projected({ rotation: r, eye, fx, fy, cx, cy }, point) {
  const d = along(point, eye, -1);
  const [x, y, z] = [dot(r.slice(0, 3), d), dot(r.slice(3, 6), d), dot(r.slice(6), d)];
  return [fx * x / z + cx, fy * y / z + cy, z];
}

/** A pose on the way from one to another, turning the shorter way. */
function poseBetween(a, b, share) {
  const turned = (from, to) => from + share * (((to - from + Math.PI) % (2 * Math.PI) + 2 * Math.PI) % (2 * Math.PI) - Math.PI);
  const lens = {};
  for (const key of Object.keys(b.lens)) lens[key] = mix(a.lens[key], b.lens[key], share);
  return {
    target: a.target.map((value, axis) => mix(value, b.target[axis], share)),
    distance: a.distance ** (1 - share) * b.distance ** share,
    yaw: turned(a.yaw, b.yaw), pitch: mix(a.pitch, b.pitch, share), roll: turned(a.roll, b.roll), lens,
  };
}
