// The splats as the page holds them: base64 of gzip of `recon/html_splats.py`'s layout.

const RECORD_BYTES = 32;

/** Bytes of the splats: {records: Uint32Array [count, 8], positions: Float32Array [count, 3], harmonics: Uint8Array}. */
async function readSplats(text, count, numHarmonics) {
  const bytes = await inflated(bytesOfBase64(text));
  const wanted = count * (RECORD_BYTES + 3 * numHarmonics);
  if (bytes.length !== wanted) throw new Error(`${bytes.length} bytes of splats, ${wanted} expected`);
  const interleaved = new Uint8Array(count * RECORD_BYTES); // stored as planes: byte 0 of all splats, byte 1 of all, ...
  for (let plane = 0; plane < RECORD_BYTES; plane++) {
    for (let i = 0, from = plane * count, to = plane; i < count; i++, from++, to += RECORD_BYTES) interleaved[to] = bytes[from];
  }
  const records = new Uint32Array(interleaved.buffer);
  const floats = new Float32Array(interleaved.buffer);
  const positions = new Float32Array(3 * count);
  for (let i = 0; i < count; i++) positions.set(floats.subarray(8 * i, 8 * i + 3), 3 * i);
  return { count, numHarmonics, records, positions, harmonics: bytes.subarray(count * RECORD_BYTES) };
}

function bytesOfBase64(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < characters.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * The worker that sorts splats by depth, nearest first. Runs on its own, so it must not use anything from outside.
 *
 * First message: {positions, near}. Then {forward, eye, buffer}, answered by {order}: the numbers of the splats whose depth
 * is at least `near`. Depths are positive, so their bits sort like whole numbers: a counting sort of the lower 16 bits, then
 * one of the upper 16, is exact and keeps equal depths in their order.
 */
function sorter() {
  let positions, near, keys, kept, halfway;
  const low = new Uint32Array(65536), high = new Uint32Array(65536);
  const starts = (counts) => {
    for (let i = 0, sum = 0; i < 65536; i++) { const count = counts[i]; counts[i] = sum; sum += count; }
  };
  const sort = ([fx, fy, fz], eye, order) => {
    const count = positions.length / 3, depths = new Float32Array(keys.buffer);
    const offset = fx * eye[0] + fy * eye[1] + fz * eye[2];
    low.fill(0), high.fill(0);
    let num = 0;
    for (let i = 0, p = 0; i < count; i++, p += 3) {
      const depth = fx * positions[p] + fy * positions[p + 1] + fz * positions[p + 2] - offset;
      if (!(depth >= near)) continue;
      depths[i] = depth;
      kept[num++] = i;
      low[keys[i] & 65535]++, high[keys[i] >>> 16]++;
    }
    starts(low), starts(high);
    for (let n = 0; n < num; n++) { const i = kept[n]; halfway[low[keys[i] & 65535]++] = i; }
    for (let n = 0; n < num; n++) { const i = halfway[n]; order[high[keys[i] >>> 16]++] = i; }
    return num;
  };
  self.onmessage = ({ data }) => {
    if (data.positions) {
      ({ positions, near } = data);
      [keys, kept, halfway] = [0, 0, 0].map(() => new Uint32Array(positions.length / 3));
      return;
    }
    const order = data.buffer ? new Uint32Array(data.buffer) : new Uint32Array(positions.length / 3);
    const num = sort(data.forward, data.eye, order);
    self.postMessage({ buffer: order.buffer, num }, [order.buffer]);
  };
}

/** A worker of this page's own code: from a Blob, so that it also runs in a file that was opened from disk. */
function startSorter(positions, near) {
  const worker = new Worker(URL.createObjectURL(new Blob([`(${sorter})()`], { type: "text/javascript" })));
  worker.postMessage({ positions, near }, [positions.buffer]);
  return worker;
}
