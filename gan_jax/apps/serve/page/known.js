/** Known pixels and wells: set values, and see realisations that agree with them. */

import { Board, History, line } from "./board.js";
import { Picture, colors, heat, heatScale, image, places, ring } from "./canvases.js";
import { accept, connectSaves, contents } from "./files.js";
import { Newest } from "./socket.js";
import { checked, count, make, number, template, title } from "./templates.js";
import { valueControl } from "./values.js";

const REALISATIONS = 16;
const WIDE = 15; // CSS pixels of a pixel that has room for a ring and a number
const NARROW = 9; // of one that has room for a ring
const COARSE = 5; // of one in a grid with lines
const OUTLINED = 12; // of one whose outline is as wide as others; a smaller one's is thinner
const MOST_BESIDE = 12; // numbers that are written beside rings
const MOST_OUTLINES = 2000; // known values that are outlined one by one

/** @returns {import("./main.js").Bench} */
export function known(run, connection, report) {
  const { element, parts } = template("generation");
  const [height, width] = run.size;
  const { channels, units } = run;
  const size = height * width;
  let values = new Float32Array(size * channels);
  let mask = new Uint8Array(size);
  let missed = new Uint8Array(size); // realisations that miss each known value
  let beneath = null; // what lies under the drawing: a name in `shown`

  title(parts, run);
  parts.stage.hidden = !run.conditional;
  const value = valueControl(parts.value, run);
  const history = new History();
  const newest = new Newest(connection, "draw", realise);
  const shown = pictures();

  function at({ x, y }) {
    return y * width + x;
  }

  function set(x, y) {
    const pixel = y * width + x;
    mask[pixel] = 1;
    values.set(value.get(), pixel * channels);
  }

  function erase(x, y) {
    mask[y * width + x] = 0;
  }

  /** Send what is known; the answer is `realise`. */
  function send() {
    const saves = parts.saves.querySelectorAll("button");
    const empty = !mask.includes(1);
    for (const button of saves) button.disabled = empty;
    history.show();
    newest.send(
      { run: run.name, seed: seed() },
      {
        values: { data: values, shape: [height, width, channels] },
        mask: { data: mask, shape: [height, width] },
      },
    );
  }

  /** Return the seed that was typed, or the one that is nearest to it. */
  function seed() {
    const typed = Math.round(Number(parts.seed.value));
    parts.seed.value = Math.min(Math.max(typed, parts.seed.min), parts.seed.max);
    return Number(parts.seed.value);
  }

  /** Take the seed that was typed, and say so where it is another one. */
  function reseed() {
    const { value: typed, max } = parts.seed;
    if (seed() !== Number(typed || NaN)) {
      report(`A seed is a whole number from 0 to ${max}: ${seed()} is taken`);
    }
    send();
  }

  function state() {
    return { values: values.slice(), mask: mask.slice() };
  }

  function restore(before) {
    ({ values, mask } = before);
    missed = new Uint8Array(size);
    board.draw();
    send();
  }

  /** Return a tool that calls `visit(x, y)` for each pixel that it passes. */
  function stroke(visit) {
    const before = state();
    let kept = false;
    const pass = (x, y) => {
      if (x < 0 || y < 0 || x >= width || y >= height) return;
      visit(x, y);
      const pixel = y * width + x;
      if (isSame(before, pixel)) return;
      missed[pixel] = 0;
      if (!kept) history.keep(before);
      kept = true;
    };
    return {
      begin({ x, y }) {
        pass(x, y);
        if (kept) send();
      },
      move(from, to) {
        line(from, to, pass);
        if (kept) send();
      },
    };
  }

  /** Return whether as much is known of a pixel as was before. */
  function isSame(before, pixel) {
    if (!mask[pixel] || !before.mask[pixel]) return mask[pixel] === before.mask[pixel];
    const own = (all) => all.subarray(pixel * channels, (pixel + 1) * channels);
    const old = own(before.values);
    return own(values).every((each, channel) => each === old[channel]);
  }

  /** Return the tool that carries a known value to another place. */
  function carry(held) {
    const before = state();
    let moved = false;
    const put = (to) => {
      const place = board.inside(to);
      if (!moved && at(place) === at(held)) return;
      if (!moved) history.keep(before);
      moved = true;
      ({ values, mask } = { values: before.values.slice(), mask: before.mask.slice() });
      mask[at(held)] = 0;
      mask[at(place)] = 1;
      const from = before.values.subarray(at(held) * channels, (at(held) + 1) * channels);
      values.set(from, at(place) * channels);
      missed = new Uint8Array(size);
      send();
    };
    return {
      holds: true,
      begin(place) {
        if (!held) return false;
        put(place);
        return true;
      },
      move: (_, to) => put(to),
      cancel() {
        if (!moved) return;
        history.drop();
        restore(before);
      },
    };
  }

  /** Return the known value that is nearest to a place, if it is near. */
  function nearest({ x, y }, most) {
    const distance = (place) => Math.hypot(place[0] - x, place[1] - y);
    const near = places(mask, width).filter((place) => distance(place) <= most);
    near.sort((one, other) => distance(one) - distance(other));
    return near.length ? { x: near[0][0], y: near[0][1] } : null;
  }

  const board = new Board(
    parts.board,
    {
      tool(eraser, place, unit) {
        const tool = checked(parts.tools);
        if (eraser || tool === "erase") return stroke(erase);
        if (tool === "draw") return stroke(set);
        return carry(nearest(place, Math.max(0.5, 8 * unit)));
      },
      change: (step) => value.change(step),
      paint,
      describe(place) {
        if (!board.touched && !mask.includes(1)) return "Click or drag to set values.";
        const pixel = at(place);
        const where = `x ${place.x}, y ${place.y}`;
        if (!mask[pixel]) return `${where}: unknown`;
        const here = values.subarray(pixel * channels, (pixel + 1) * channels);
        const miss = missed[pixel] ? `, missed by ${missed[pixel]} of ${REALISATIONS}` : "";
        return `${where}: ${value.words([...here])}${miss}`;
      },
    },
    parts.readout,
  );

  /** Paint the known values, and rings around those that are missed. */
  function paint(context, unit) {
    if (!board.picture.source) {
      context.fillStyle = colors.blank;
      context.fillRect(0, 0, width, height);
      if (unit < 1 / COARSE) grid(context, unit);
    }
    const set = places(mask, width);
    for (const [x, y] of set) {
      const pixel = y * width + x;
      context.fillStyle = value.color(values.subarray(pixel * channels, (pixel + 1) * channels));
      context.fillRect(x, y, 1, 1);
    }
    if (set.length <= MOST_OUTLINES) {
      const thin = Math.min(unit, 1 / OUTLINED);
      for (const [wide, color] of [[3, colors.paper], [1.5, colors.accent]]) {
        context.lineWidth = wide * thin;
        context.strokeStyle = color;
        for (const [x, y] of set) context.strokeRect(x, y, 1, 1);
      }
    }
    counts(context, unit, places(missed, width));
  }

  /** Ring what is missed, and write by how many realisations. */
  function counts(context, unit, marks) {
    const [inside, radius] = [unit < 1 / WIDE, unit < 1 / NARROW ? 0.44 : 6 * unit];
    ring(context, marks, unit, radius);
    if (!inside && marks.length > MOST_BESIDE) return;
    context.font = `600 ${inside ? 0.6 : 12 * unit}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    context.lineWidth = 3 * unit;
    for (const [x, y] of marks) {
      const left = x > width - 3 - 20 * unit;
      const beside = radius + 4 * unit;
      context.textAlign = inside ? "center" : left ? "right" : "left";
      const at = [x + 0.5 + (inside ? 0 : left ? -beside : beside), y + 0.54];
      const text = String(missed[y * width + x]);
      context.strokeStyle = colors.paper;
      context.strokeText(text, ...at);
      context.fillStyle = colors.ink;
      context.fillText(text, ...at);
    }
  }

  function grid(context, unit) {
    context.beginPath();
    for (let x = 1; x < width; x += 1) {
      context.moveTo(x, 0);
      context.lineTo(x, height);
    }
    for (let y = 1; y < height; y += 1) {
      context.moveTo(0, y);
      context.lineTo(width, y);
    }
    context.lineWidth = unit / 2;
    context.strokeStyle = colors.grid;
    context.stroke();
  }

  /** Return the pictures of an answer by name, each of which can lie under the drawing. */
  function pictures() {
    const made = {};
    const add = (name, label) => {
      const canvas = make("canvas");
      const button = make("button", { type: "button", className: "picture" }, canvas);
      button.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-label", label);
      button.title = `${label}: show it under the drawing`;
      button.addEventListener("click", () => lay(beneath === name ? null : name));
      made[name] = { button, canvas, picture: new Picture(canvas), label };
      made[name].picture.resize(height, width);
      return button;
    };
    for (let index = 0; index < REALISATIONS; index += 1) {
      parts.pictures.append(make("li", {}, add(index, `Realisation ${index + 1}`)));
    }
    const caption = (text) => make("figcaption", {}, make("h2", {}, text));
    const most = make("span");
    const scale = heatScale("0", most);
    parts.summary.append(
      make("figure", {}, caption("Mean"), add("mean", "Mean")),
      make("figure", {}, caption("Spread"), add("spread", "Spread"), scale),
    );
    made.spread.most = most;
    return made;
  }

  /** Lay a picture under the drawing, or none. */
  function lay(name) {
    beneath = name;
    for (const [key, { button }] of Object.entries(shown)) {
      button.setAttribute("aria-pressed", String(key === String(name)));
    }
    board.picture.source = name === null ? null : shown[name].picture.source;
    board.draw();
  }

  /** Show an answer to `draw`. */
  function realise(message) {
    const { images, mean, spread, missed: misses } = message.arrays;
    const total = new Uint8Array(size);
    for (let index = 0; index < REALISATIONS; index += 1) {
      const { picture, button, label } = shown[index];
      const marks = places(misses.data, width, index * size, size);
      for (const [x, y] of marks) total[y * width + x] += 1;
      picture.paint = (context, unit) => ring(context, marks, unit);
      picture.show(image(images, index));
      const words = marks.length ? `, misses ${count(marks.length, "known value")}` : "";
      button.setAttribute("aria-label", label + words);
    }
    for (let pixel = 0; pixel < size; pixel += 1) total[pixel] *= mask[pixel];
    missed = total;
    shown.mean.picture.show(image(mean));
    shown.spread.picture.show(heat(spread, height, width, channels));
    shown.spread.most.textContent = number(message.spread_largest);
    parts.honoured.textContent = mask.includes(1) && message.honoured !== null
      ? `${number(Math.floor(1000 * message.honoured) / 10)}% of known values honoured` : "";
    lay(beneath);
  }

  accept(element, [parts.load], async (files) => {
    let file;
    try {
      file = await contents(files);
    } catch (error) {
      report(error.message);
      return;
    }
    const read = await connection.request("read", { run: run.name, ...file.entries }, file.arrays);
    if (!read) return;
    board.drop();
    history.keep(state());
    restore({ values: read.arrays.values.data, mask: read.arrays.mask.data });
  });
  parts.clear.addEventListener("click", () => {
    board.drop();
    if (!mask.includes(1)) return;
    history.keep(state());
    restore({ values: new Float32Array(values.length), mask: new Uint8Array(size) });
  });
  parts.seed.addEventListener("change", reseed);
  parts.new.addEventListener("click", () => {
    parts.seed.value = seed() + 1;
    send();
  });
  history.connect(element, board, parts, state, restore);
  connectSaves(element, connection, run.name);
  board.resize(height, width);
  parts.board.setAttribute("aria-label", `Drawing grid, ${width} columns and ${height} rows`);
  board.read();
  return { element, resume: send };
}
