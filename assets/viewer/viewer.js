// The page: reads the scene, keeps pose, sorter and renderer together, and draws when something changed.

const FLIGHT_MS = 750, REST_MS = 160; // after so long without movement the picture is drawn at full size
const QUALITIES = [1, 0.75, 0.55, 0.4]; // of width and height while moving
const SLOW_MS = 30, FAST_MS = 18.5, SLOW_FRAMES = 3, FAST_FRAMES = 30; // between frames; in a row until the quality changes
const MOST_PIXELS = 4.5e6, START_COVER = 0.2;

async function main() {
  const description = JSON.parse(element("description").textContent);
  const hash = () => new URLSearchParams(location.hash.slice(1));
  document.body.classList.toggle("bare", hash().get("ui") === "0");
  if (typeof DecompressionStream === "undefined") throw new Error("no DecompressionStream");
  const canvas = element("scene"), overlay = element("overlay");
  if (!document.createElement("canvas").getContext("webgl2")) throw new Error("no WebGL2");
  await new Promise((done) => setTimeout(done, 30)); // lets the page appear first
  const splats = await readSplats(element("splats").textContent.trim(), description.count, description.numHarmonics);
  element("splats").remove();
  let renderer = createRenderer(canvas, splats, description.background);
  const worker = startSorter(splats.positions, NEAR);

  const photos = description.photos.map((photo) => {
    const pose = poseOfCamera(photo.camera, 0);
    return { ...photo, pose, eye: eyeOf(pose) };
  });
  const start = poseOfCamera(description.start, START_COVER);
  const frustumSize = 0.12 * start.distance;
  const state = {
    pose: start, flight: null, current: null, showsFrusta: false, hasFrusta: false, // current: number of the photo whose place this is
    lastChange: -Infinity, lastFrame: 0, wasMoving: false, quality: 0, fastFrames: 0, slowFrames: 0, drawnQuality: 0,
    order: new Uint32Array(0), sortedFor: "", sortingFor: null, spare: null, isScheduled: false, frames: 0,
  };
  let settledWaiters = [];

  // Size and camera

  const bottomPx = () => (document.body.classList.contains("bare") || !photos.length ? 0 : element("strip").offsetHeight - 26);
  const pixelRatio = () => canvas.width / Math.max(1, canvas.clientWidth);
  const pinhole = () => pinholeOf(state.pose, canvas.width, canvas.height, bottomPx() * pixelRatio());

  function fitToWindow() {
    const width = Math.max(1, canvas.clientWidth), height = Math.max(1, canvas.clientHeight);
    const ratio = Math.min(devicePixelRatio || 1, 2, Math.sqrt(MOST_PIXELS / (width * height)));
    renderer.resize(Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio)));
    [overlay.width, overlay.height] = [canvas.width, canvas.height];
    schedule();
  }

  // Movement

  function change(update) {
    state.flight = null;
    const pose = update(state.pose);
    if (pose !== state.pose) markCurrent(null);
    state.pose = pose;
    state.lastChange = performance.now();
    schedule();
  }

  function flyTo(pose, current, isAtOnce = matchMedia("(prefers-reduced-motion: reduce)").matches) {
    markCurrent(current);
    if (isAtOnce) [state.pose, state.flight] = [pose, null];
    else state.flight = { from: state.pose, to: pose, since: performance.now() };
    schedule();
  }

  function flyToPhoto(index, isAtOnce) {
    if (photos[index]) flyTo(photos[index].pose, index, isAtOnce);
  }

  function goWhereHashSays(isAtOnce) {
    const number = Number(hash().get("view"));
    if (Number.isInteger(number) && photos[number - 1]) flyToPhoto(number - 1, isAtOnce);
  }

  function flyToPoint(x, y) {
    const at = pinhole(), ratio = pixelRatio(), [u, v] = [Math.floor(x * ratio), Math.floor(y * ratio)];
    const depth = renderer.depthAt(at, u, v, 8 * state.pose.distance);
    schedule();
    if (depth === null) return;
    const { right, down, forward } = axesOf(state.pose);
    const side = along(along(forward, right, (u + 0.5 - at.cx) / at.fx), down, (v + 0.5 - at.cy) / at.fy);
    flyTo({ ...state.pose, target: along(at.eye, side, depth), distance: 0.6 * depth }, null);
  }

  function step(now, seconds) {
    if (moveByKeys(seconds)) state.lastChange = now;
    if (!state.flight) return;
    const share = clamp((now - state.flight.since) / FLIGHT_MS, 0, 1);
    state.pose = share < 1 ? poseBetween(state.flight.from, state.flight.to, share * share * (3 - 2 * share)) : state.flight.to;
    if (share === 1) state.flight = null;
    state.lastChange = now;
  }

  // Frames

  function schedule() {
    if (state.isScheduled) return;
    state.isScheduled = true;
    requestAnimationFrame(frame);
  }

  function frame(now) {
    state.isScheduled = false;
    const elapsed = now - state.lastFrame;
    step(now, Math.min(elapsed, 100) / 1000);
    const isMoving = now - state.lastChange < REST_MS;
    if (isMoving && state.wasMoving) adaptQuality(elapsed);
    [state.lastFrame, state.wasMoving] = [now, isMoving];
    requestSort();
    const view = pinhole();
    state.drawnQuality = isMoving ? QUALITIES[state.quality] : 1;
    renderer.render(view, state.drawnQuality);
    drawOverlay(view);
    state.frames++;
    if (isMoving) schedule();
    else reportSettled();
  }

  /** Fewer pixels after some slow frames, at once after a very slow one; more after many fast ones. */
  function adaptQuality(elapsed) {
    state.fastFrames = elapsed < FAST_MS ? state.fastFrames + 1 : 0;
    state.slowFrames = elapsed > SLOW_MS ? state.slowFrames + 1 + Number(elapsed > 4 * SLOW_MS) * SLOW_FRAMES : 0;
    if (state.slowFrames >= SLOW_FRAMES && state.quality < QUALITIES.length - 1) state.quality++, (state.slowFrames = 0);
    if (state.fastFrames >= FAST_FRAMES && state.quality > 0) state.quality--, (state.fastFrames = 0);
  }

  function requestSort() {
    const forward = axesOf(state.pose).forward, eye = eyeOf(state.pose), wanted = [...forward, ...eye].join();
    if (state.sortingFor !== null || wanted === state.sortedFor) return;
    state.sortingFor = wanted;
    worker.postMessage({ forward, eye, buffer: state.spare }, state.spare ? [state.spare] : []);
    state.spare = null;
  }

  worker.onmessage = ({ data }) => {
    state.spare = state.order.buffer.byteLength ? state.order.buffer : null;
    state.order = new Uint32Array(data.buffer, 0, data.num);
    renderer.setOrder(state.order);
    [state.sortedFor, state.sortingFor] = [state.sortingFor, null];
    element("loading").classList.add("done");
    schedule();
  };
  worker.onerror = (event) => fail(new Error(event.message || "the sorter does not start"));

  function reportSettled() {
    const isSorted = state.sortingFor === null && state.sortedFor !== "";
    if (!isSorted || state.flight || !settledWaiters.length) return;
    const waiters = settledWaiters;
    settledWaiters = [];
    requestAnimationFrame(() => requestAnimationFrame(() => waiters.forEach((done) => done())));
  }

  function drawOverlay(view) {
    if (!state.showsFrusta && !state.hasFrusta) return;
    state.hasFrusta = state.showsFrusta;
    overlay.width = canvas.width; // empties it; Chromium 156 shows the old picture on when clearRect is all that is done
    if (state.showsFrusta) drawFrusta(overlay.getContext("2d"), photos, view, frustumSize, pixelRatio());
  }

  // Buttons, strip, keys

  function markCurrent(index) {
    if (index === state.current) return;
    state.current = index;
    page.markPhoto(index);
    const parameters = hash();
    parameters.delete("view");
    if (index !== null) parameters.set("view", index + 1);
    if (parameters.toString() !== location.hash.slice(1)) history.replaceState(null, "", `#${parameters}`);
  }

  function toggleFrusta() {
    state.showsFrusta = !state.showsFrusta;
    page.markFrusta(state.showsFrusta);
    schedule();
  }

  const reset = () => flyTo(start, null);
  const page = showInterface(description, { reset, toggleFrusta, flyToPhoto });
  const actions = {
    KeyR: reset, Home: reset, KeyC: toggleFrusta, KeyH: () => page.toggleHelp(),
    Escape: () => page.toggleHelp(false), Enter: page.toggleFullscreen,
    KeyF: () => flyTo({ ...state.pose, target: start.target, distance: start.distance, roll: 0, lens: start.lens }, null),
  };
  const moveByKeys = attachControls(canvas, {
    change,
    focalPx: () => pinhole().fx / pixelRatio(),
    tap(x, y) {
      page.toggleHelp(false);
      const ratio = pixelRatio();
      const index = state.showsFrusta ? frustumAt(photos, pinhole(), frustumSize, x * ratio, y * ratio, ratio) : null;
      if (index !== null) flyToPhoto(index);
    },
    doubleTap: flyToPoint,
    key(code) {
      const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code);
      if (digit) flyToPhoto(Number(digit[1]) - 1);
      else actions[code]?.();
    },
  });
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => {
    renderer = createRenderer(canvas, splats, description.background);
    renderer.setOrder(state.order);
    fitToWindow();
  });
  addEventListener("hashchange", () => goWhereHashSays());
  new ResizeObserver(fitToWindow).observe(canvas);
  goWhereHashSays(true);
  fitToWindow();

  // What tests ask: nothing here is used by the page itself.
  window.handful = {
    settled: () => new Promise((done) => { settledWaiters.push(done); schedule(); }),
    state: () => ({
      eye: eyeOf(state.pose), forward: axesOf(state.pose).forward, distance: state.pose.distance, current: state.current,
      quality: state.drawnQuality, numDrawn: state.order.length, frames: state.frames, isFloat: renderer.isFloat,
      size: [canvas.width, canvas.height],
    }),
  };
}

main().catch(fail);
