// Mouse, touch and keys: they change the pose, by calling back.

const TURN_PER_PX = 0.006, KEY_TURN = 1.3, FLY_SPEED = 0.6, STEEPEST = 1.5; // rad per px, rad/s, distances/s, rad
const TAP_MS = 300, TAP_PX = 6;

const turnedAround = (pose, dx, dy) => ({
  ...pose, yaw: pose.yaw - dx * TURN_PER_PX, pitch: clamp(pose.pitch - dy * TURN_PER_PX, -STEEPEST, STEEPEST),
  roll: pose.roll * Math.exp(-0.02 * Math.hypot(dx, dy)), // a camera that was held askew comes level
});

/** Turn the head: the eye stays where it is. */
function lookedAround(pose, dx, dy) {
  const turned = { ...pose, yaw: pose.yaw + dx * TURN_PER_PX / 2, pitch: clamp(pose.pitch + dy * TURN_PER_PX / 2, -STEEPEST, STEEPEST) };
  return { ...turned, target: along(eyeOf(pose), axesOf(turned).forward, pose.distance) };
}

/** Move sideways so that what is at the target's distance follows the pointer. */
function shifted(pose, dx, dy, focalPx) {
  const { right, down } = axesOf(pose), perPx = pose.distance / focalPx;
  return { ...pose, target: along(along(pose.target, right, -dx * perPx), down, -dy * perPx) };
}

const nearer = (pose, factor) => ({ ...pose, distance: clamp(pose.distance * factor, 1e-4, 1e5) });

/**
 * Listens to pointers over `canvas` and to keys.
 *
 * `actions`: change(pose => pose), focalPx(), tap(x, y), doubleTap(x, y), key(name) for what is no movement.
 * Returns step(seconds): moves by the keys that are held down, and says whether any is.
 */
function attachControls(canvas, actions) {
  attachPointers(canvas, actions);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const px = event.deltaY * (event.deltaMode === 1 ? 30 : event.deltaMode === 2 ? 300 : 1);
    actions.change((pose) => nearer(pose, Math.exp(clamp(px, -240, 240) * 0.0016)));
  }, { passive: false });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  return attachKeys(actions);
}

function attachPointers(canvas, { change, focalPx, tap, doubleTap }) {
  const held = new Map(); // pointer -> {x, y}
  let start = null, lastTap = null;
  const middleOf = () => {
    const all = [...held.values()], n = all.length;
    const x = all.reduce((sum, p) => sum + p.x, 0) / n, y = all.reduce((sum, p) => sum + p.y, 0) / n;
    return { x, y, spread: n > 1 ? Math.hypot(all[0].x - all[1].x, all[0].y - all[1].y) : 0 };
  };
  const moved = (event, dx, dy) => {
    if (event.altKey || event.buttons & 4) change((pose) => lookedAround(pose, dx, dy));
    else if (event.shiftKey || event.buttons & 2) change((pose) => shifted(pose, dx, dy, focalPx()));
    else change((pose) => turnedAround(pose, dx, dy));
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    canvas.classList.add("held");
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    start = held.size === 1 && event.button === 0 ? { x: event.clientX, y: event.clientY, time: event.timeStamp } : null;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before) return;
    const old = middleOf();
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const now = middleOf();
    if (held.size === 1) return moved(event, now.x - old.x, now.y - old.y);
    const factor = old.spread && now.spread ? old.spread / now.spread : 1;
    change((pose) => nearer(shifted(pose, now.x - old.x, now.y - old.y, focalPx()), factor));
  });
  const released = (event) => {
    held.delete(event.pointerId);
    if (!held.size) canvas.classList.remove("held");
    const isTap = start && event.type === "pointerup" && event.timeStamp - start.time < TAP_MS &&
      Math.hypot(event.clientX - start.x, event.clientY - start.y) < TAP_PX;
    start = null;
    if (!isTap) return;
    const { clientX: x, clientY: y, timeStamp: time } = event;
    const isSecond = lastTap && time - lastTap.time < 2 * TAP_MS && Math.hypot(x - lastTap.x, y - lastTap.y) < 4 * TAP_PX;
    lastTap = isSecond ? null : { x, y, time };
    (isSecond ? doubleTap : tap)(x, y);
  };
  canvas.addEventListener("pointerup", released);
  canvas.addEventListener("pointercancel", released);
}

function attachKeys({ change, key }) {
  const down = new Set();
  const directions = { KeyW: [0, 0, 1], KeyS: [0, 0, -1], KeyD: [1, 0, 0], KeyA: [-1, 0, 0], KeyE: [0, -1, 0], KeyQ: [0, 1, 0] };
  const turns = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isOnButton = event.target instanceof HTMLButtonElement;
    if (event.code in directions || (event.code in turns && !isOnButton)) {
      down.add(event.code);
      change((pose) => pose); // wakes the loop
      event.preventDefault();
    } else if (!event.repeat && !(isOnButton && event.code === "Enter")) key(event.code);
  });
  addEventListener("keyup", (event) => down.delete(event.code));
  addEventListener("blur", () => down.clear());
  const shift = { isDown: false };
  for (const type of ["keydown", "keyup"]) addEventListener(type, (event) => { shift.isDown = event.shiftKey; });
  return (seconds) => {
    for (const code of down) {
      const length = FLY_SPEED * seconds * (shift.isDown ? 4 : 1);
      if (code in turns) {
        const px = KEY_TURN * seconds / TURN_PER_PX;
        change((pose) => turnedAround(pose, turns[code][0] * px, turns[code][1] * px));
      } else change((pose) => flown(pose, directions[code], length * pose.distance));
    }
    return down.size > 0;
  };
}

function flown(pose, [right, down, forward], length) {
  const axes = axesOf(pose);
  const step = along(along(axes.right.map((v) => v * right), axes.down, down), axes.forward, forward);
  return { ...pose, target: along(pose.target, step, length) };
}
