// What lies over the scene: facts, buttons, the strip of photos, help and messages.

const element = (id) => document.getElementById(id);

/** Fills the page and connects its buttons: `actions` has reset(), toggleFrusta() and flyToPhoto(index). */
function showInterface({ count, photos }, { reset, toggleFrusta, flyToPhoto }) {
  const strip = element("strip"), help = element("help"), fullscreen = element("fullscreen"), frusta = element("frusta");
  const many = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  element("facts").textContent = [many(count, "splat"), ...(photos.length ? [many(photos.length, "photo")] : [])].join(" · ");
  strip.append(...photos.map((photo, index) => photoButton(photo, index, () => flyToPhoto(index))));
  strip.addEventListener("wheel", (event) => { strip.scrollLeft += event.deltaY; }, { passive: true });

  function markPhoto(index) {
    [...strip.children].forEach((button, i) => button.setAttribute("aria-current", String(i === index)));
    if (index !== null) strip.children[index].scrollIntoView({ behavior: "smooth", block: "nearest", inline: "nearest" });
  }

  function toggleHelp(isShown = element("keys").hidden) {
    element("keys").hidden = !isShown;
    help.setAttribute("aria-expanded", String(isShown));
  }

  function toggleFullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen?.().catch(() => { fullscreen.hidden = true; });
  }

  element("reset").addEventListener("click", reset);
  frusta.addEventListener("click", toggleFrusta);
  frusta.hidden = !photos.length;
  help.addEventListener("click", () => toggleHelp());
  fullscreen.addEventListener("click", toggleFullscreen);
  fullscreen.hidden = !document.fullscreenEnabled;
  return { markPhoto, toggleHelp, toggleFullscreen, markFrusta: (isShown) => frusta.setAttribute("aria-pressed", String(isShown)) };
}

function photoButton({ name, thumbnail }, index, fly) {
  const button = document.createElement("button"), number = document.createElement("span");
  button.title = name;
  button.setAttribute("aria-label", `Photo ${index + 1}: ${name}`);
  number.textContent = index + 1;
  if (thumbnail) {
    const image = document.createElement("img");
    [image.src, image.alt] = [thumbnail, ""];
    button.append(image);
  }
  button.append(number);
  button.addEventListener("click", fly);
  return button;
}

/** One sentence for people instead of the scene; the reason for whoever opens the console. */
function fail(error) {
  console.error(error);
  const isOld = /WebGL2|DecompressionStream/.test(error.message);
  const message = element("message");
  message.textContent = isOld
    ? "This scene needs WebGL2, which this browser does not offer or has switched off. A current Chrome, Edge, Firefox or Safari shows it."
    : `This scene cannot be shown: ${error.message}`;
  message.hidden = false;
  element("loading").classList.add("done");
}
