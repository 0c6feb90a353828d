// The places of the photos, drawn over the scene as small pyramids with the photo's number at the tip.

const REACH_PX = 16; // how near to a tip counts as on it

/** Tips of the pyramids in the window: [{index, x, y}], without those at or behind the eye. */
function tipsOf(photos, pinhole, size) {
  return photos.flatMap(({ eye }, index) => {
    const [x, y, z] = projected(pinhole, eye);
    return z > size / 2 ? [{ index, x, y, z }] : [];
  });
}

/** Draws the pyramids, `size` deep in the world, on a 2D context whose pixels are those of the pinhole. */
function drawFrusta(context, photos, pinhole, size, scale) {
  context.lineJoin = "round";
  for (const tip of tipsOf(photos, pinhole, size).sort((a, b) => b.z - a.z)) {
    const corners = cornersOf(photos[tip.index], size).map((corner) => projected(pinhole, corner));
    if (corners.some((corner) => corner[2] <= size / 10)) continue;
    for (const [width, colour] of [[4, "#0009"], [1.6, "#6fb1de"]]) {
      context.lineWidth = width * scale, context.strokeStyle = colour;
      context.beginPath();
      corners.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.closePath();
      for (const [x, y] of corners) context.moveTo(tip.x, tip.y), context.lineTo(x, y);
      context.stroke();
    }
    context.fillStyle = "#16202a", context.strokeStyle = "#6fb1de", context.lineWidth = 1.5 * scale;
    context.beginPath();
    context.arc(tip.x, tip.y, 10 * scale, 0, 7);
    context.fill(), context.stroke();
    context.fillStyle = "#eceff2", context.font = `600 ${11 * scale}px system-ui, sans-serif`;
    context.textAlign = "center", context.textBaseline = "middle";
    context.fillText(tip.index + 1, tip.x, tip.y);
  }
}

function cornersOf({ pose, eye }, size) {
  const { right, down, forward } = axesOf(pose), { fx, fy, cx, cy, width, height } = pose.lens;
  return [[0, 0], [width, 0], [width, height], [0, height]].map(([x, y]) =>
    along(along(along(eye, forward, size), right, (x - cx) / fx * size), down, (y - cy) / fy * size));
}

/** Number of the photo whose tip is at a place in the window, null if none. */
function frustumAt(photos, pinhole, size, x, y, scale) {
  const hits = tipsOf(photos, pinhole, size).filter((tip) => Math.hypot(tip.x - x, tip.y - y) < REACH_PX * scale);
  return hits.length ? hits.reduce((a, b) => (a.z < b.z ? a : b)).index : null;
}
