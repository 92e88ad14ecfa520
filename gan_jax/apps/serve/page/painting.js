/** Painting the hole of a photograph. */

import { Board, History, line } from "./board.js";
import { colors, pixels } from "./canvases.js";
import { checked } from "./templates.js";

const SIZES = 0.25; // the largest brush, as a share of the photograph's side

/**
 * Return the hole of a photograph, which is painted.
 * @param {HTMLElement} bench
 * @param {Object<string, HTMLElement>} parts of the template `completion`
 * @param {() => void} changed called after each stroke
 */
export function painting(bench, parts, changed) {
  let height = 1;
  let width = 1;
  let mask = new Uint8Array(1);
  let layer = null; // the hole as a canvas
  let share = 0; // percent that is missing
  let corners = null; // of a rectangle that is being drawn
  const history = new History(50);

  function size() {
    return Number(parts.brush.value);
  }

  /** Mark the pixels of the brush at a place as missing (1) or not. */
  function stamp(x, y, value) {
    const reach = (size() - 1) / 2;
    const within = (reach + 0.25) ** 2;
    const [top, bottom] = [Math.ceil(y - reach), Math.floor(y + reach)];
    for (let row = Math.max(top, 0); row <= Math.min(bottom, height - 1); row += 1) {
      const across = Math.sqrt(Math.max(within - (row - y) ** 2, 0));
      const left = Math.max(Math.ceil(x - across), 0);
      const right = Math.min(Math.floor(x + across), width - 1);
      if (left <= right) mask.fill(value, row * width + left, row * width + right + 1);
    }
  }

  function brush(value) {
    // A brush of an even size lies between pixels.
    const shift = size() % 2 ? 0 : 0.5;
    const pass = (x, y) => stamp(x + shift, y + shift, value);
    const before = mask.slice();
    return {
      begin({ x, y }) {
        pass(x, y);
        layer = null;
      },
      move(from, to) {
        line(from, to, pass);
        layer = null;
      },
      end: () => ended(before),
    };
  }

  function rectangle() {
    return {
      holds: true,
      begin: (place) => {
        corners = [place, place];
      },
      move: (_, to) => {
        corners[1] = board.inside(to);
      },
      cancel: () => {
        corners = null;
      },
      end() {
        const { left, top, right, bottom } = box();
        corners = null;
        const before = mask.slice();
        for (let row = top; row < bottom; row += 1) {
          mask.fill(1, row * width + left, row * width + right);
        }
        ended(before);
      },
    };
  }

  function box() {
    const [[left, right], [top, bottom]] = ["x", "y"].map((axis) => {
      const [one, other] = corners.map((corner) => corner[axis]);
      return [Math.min(one, other), Math.max(one, other) + 1];
    });
    return { left, top, right, bottom };
  }

  /** A stroke has ended: keep what was before, if it changed that. */
  function ended(before) {
    if (mask.every((each, pixel) => each === before[pixel])) return;
    history.keep(before);
    changes();
  }

  function changes() {
    measure();
    layer = null;
    history.show();
    board.draw();
    changed();
  }

  function measure() {
    share = Math.round((100 * mask.reduce((sum, each) => sum + each, 0)) / mask.length);
  }

  function restore(before) {
    mask = before;
    changes();
  }

  function paint(context, unit) {
    layer ??= pixels(height, width, (pixel, rgba, to) => {
      rgba[to + 3] = mask[pixel] ? 255 : 0;
    });
    context.drawImage(hatched(layer, context.canvas), 0, 0, width, height);
    if (corners) {
      const { left, top, right, bottom } = box();
      for (const [dash, color] of [[[], colors.paper], [[5, 5], colors.accent]]) {
        context.setLineDash(dash.map((length) => length * unit));
        context.lineWidth = 2 * unit;
        context.strokeStyle = color;
        context.strokeRect(left, top, right - left, bottom - top);
      }
      context.setLineDash([]);
    }
    if (board.hover && !board.held) outline(context, unit, board.hover);
  }

  /** Paint the outline of the brush. */
  function outline(context, unit, { x, y }) {
    if (checked(parts.tools) === "rectangle") return;
    const middle = size() % 2 ? 0.5 : 1;
    for (const [wide, color] of [[3, "#0008"], [1.5, "#fff"]]) {
      context.beginPath();
      context.arc(x + middle, y + middle, size() / 2, 0, 2 * Math.PI);
      context.lineWidth = wide * unit;
      context.strokeStyle = color;
      context.stroke();
    }
  }

  const board = new Board(
    parts.board,
    {
      tool(eraser) {
        const tool = checked(parts.tools);
        if (eraser || tool === "eraser") return brush(0);
        return tool === "rectangle" ? rectangle() : brush(1);
      },
      change: (step) => resizeBrush(size() + step),
      paint,
      describe({ x, y }) {
        if (!board.touched && !mask.includes(1)) return "Paint over what is missing.";
        const here = mask[y * width + x] ? "missing" : "known";
        return `x ${x}, y ${y}: ${here}. ${share}% is missing.`;
      },
    },
    parts.readout,
  );

  function resizeBrush(wanted) {
    parts.brush.value = wanted;
    parts["brush-size"].textContent = parts.brush.value;
    board.picture.draw();
  }
  parts.brush.addEventListener("input", () => resizeBrush(size()));
  parts.clear.addEventListener("click", () => {
    board.drop();
    if (!mask.includes(1)) return;
    history.keep(mask);
    restore(new Uint8Array(mask.length));
  });
  history.connect(bench, board, parts, () => mask.slice(), restore);

  return {
    /** The missing pixels, as the server takes them. */
    get missing() {
      return { data: mask, shape: [height, width] };
    },
    /** Whether a pixel is missing. */
    get any() {
      return mask.includes(1);
    },
    /** Show a photograph, and what is missing of it. */
    open(photograph, missing) {
      ({ height, width } = photograph);
      mask = missing;
      corners = null;
      measure();
      layer = null;
      history.clear();
      history.show();
      board.resize(height, width);
      const most = Math.max(2, Math.round(SIZES * Math.max(height, width)));
      parts.brush.max = most;
      resizeBrush(Math.max(1, Math.round(most / 3)));
      board.picture.show(photograph);
      board.read();
    },
  };
}

/** Return a hole in the hatching that shows it on a canvas. */
function hatched(layer, { width, height }) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(layer, 0, 0, width, height);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = colors.hole;
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "source-atop";
  context.strokeStyle = "#fff8";
  const step = 9 * (window.devicePixelRatio || 1);
  context.lineWidth = step / 5;
  context.beginPath();
  for (let at = -height; at < width; at += step) {
    context.moveTo(at, height);
    context.lineTo(at + height, 0);
  }
  context.stroke();
  return canvas;
}
