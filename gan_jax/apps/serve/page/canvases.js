/** Pictures on canvases: arrays of levels, colour maps, rings. */

import { make } from "./templates.js";

const HEAT = [
  [12, 8, 38], [87, 21, 110], [187, 55, 84], [249, 142, 9], [252, 255, 164],
];

/** Colours of the levels 0 to 255 of a spread. */
const HEAT_LEVELS = Array.from({ length: 256 }, (_, level) => {
  const place = (level / 255) * (HEAT.length - 1);
  const lower = Math.min(Math.floor(place), HEAT.length - 2);
  return HEAT[lower].map((from, channel) =>
    Math.round(from + (place - lower) * (HEAT[lower + 1][channel] - from)),
  );
});

/** The colours of the style sheet that are painted on canvases; they follow its theme. */
export const colors = {};

function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "paper", "accent", "missed", "blank", "grid", "hole"]) {
    colors[name] = style.getPropertyValue(`--${name}`).trim();
  }
}
readColors();

/** Pictures by their canvases. */
const pictures = new WeakMap();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColors();
  for (const canvas of document.querySelectorAll("canvas")) pictures.get(canvas)?.draw();
});

/**
 * Return one image of an array `[..., height, width, channels]` as a canvas of its size.
 * @param {{data: Uint8Array|Float32Array, shape: number[]}} array levels from 0 to 255
 * @param {number} index of the image, over all leading axes
 * @returns {HTMLCanvasElement}
 */
export function image({ data, shape }, index = 0) {
  const [height, width, channels] = shape.slice(-3);
  const from = index * height * width * channels;
  return pixels(height, width, (pixel, rgba, to) => {
    const at = from + pixel * channels;
    rgba[to] = data[at];
    rgba[to + 1] = data[at + (channels > 1 ? 1 : 0)];
    rgba[to + 2] = data[at + (channels > 1 ? 2 : 0)];
  });
}

/**
 * Return one spread of an array `[..., height, width]` as a canvas in the colours of heat.
 * @param {number} channels of the array, when it has them; their largest is shown
 */
export function heat({ data }, height, width, channels = 1, index = 0) {
  const from = index * height * width * channels;
  return pixels(height, width, (pixel, rgba, to) => {
    const at = from + pixel * channels;
    const level = Math.round(Math.max(...data.subarray(at, at + channels)));
    [rgba[to], rgba[to + 1], rgba[to + 2]] = HEAT_LEVELS[level];
  });
}

/** Return the scale of `heat`: a bar of its colours between two words. */
export function heatScale(least, most) {
  const bar = make("span", { className: "heat" });
  const stops = HEAT.map((color) => `rgb(${color.join(" ")})`);
  bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  return make("p", { className: "scale" }, least, bar, most);
}

/** Return a canvas whose opaque pixels `fill(pixel, rgba, place)` writes. */
export function pixels(height, width, fill) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const content = context.createImageData(width, height);
  for (let pixel = 0; pixel < height * width; pixel += 1) {
    content.data[4 * pixel + 3] = 255;
    fill(pixel, content.data, 4 * pixel);
  }
  context.putImageData(content, 0, 0);
  return canvas;
}

/** A canvas on the page that shows a picture as sharply as the screen can. */
export class Picture {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(context: CanvasRenderingContext2D, unit: number) => void} [paint] paints in
   *   pixels of the picture; `unit` of them are a sixteenth of a rem
   */
  constructor(canvas, paint = () => {}) {
    Object.assign(this, { canvas, paint, source: null, height: 1, width: 1 });
    pictures.set(canvas, this);
    // Draws it when it comes into view, too.
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Set the size in pixels of the picture. */
  resize(height, width) {
    Object.assign(this, { height, width });
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    this.canvas.parentElement?.style.setProperty("--ratio", width / height);
  }

  /** Show a canvas. */
  show(source) {
    this.source = source;
    if (source.height !== this.height || source.width !== this.width) {
      this.resize(source.height, source.width);
    }
    this.draw();
  }

  draw() {
    const { canvas, width, height } = this;
    if (!canvas.clientWidth) return;
    const ratio = window.devicePixelRatio || 1;
    const across = Math.round(canvas.clientWidth * ratio);
    const down = Math.max(1, Math.round((across * height) / width));
    if (canvas.width !== across || canvas.height !== down) {
      canvas.width = across;
      canvas.height = down;
    }
    const context = canvas.getContext("2d");
    const scale = across / width;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    context.setTransform(scale, 0, 0, down / height, 0, 0);
    context.clearRect(0, 0, width, height);
    // A small picture shows its pixels; a photograph is smoothed.
    context.imageSmoothingEnabled = scale < 2;
    if (this.source) context.drawImage(this.source, 0, 0, width, height);
    this.paint(context, ((rem / 16) * ratio) / scale);
  }
}

/** Ring pixels; `marks` are `[x, y]`, `unit` is that of `Picture`. */
export function ring(context, marks, unit, radius = Math.max(0.5, 4 * unit)) {
  context.beginPath();
  for (const [x, y] of marks) {
    context.moveTo(x + 0.5 + radius, y + 0.5);
    context.arc(x + 0.5, y + 0.5, radius, 0, 2 * Math.PI);
  }
  context.lineWidth = 4 * unit;
  context.strokeStyle = "#000a";
  context.stroke();
  context.lineWidth = 2 * unit;
  context.strokeStyle = colors.missed;
  context.stroke();
}

/** Return the places `[x, y]` of the pixels of a mask that are not 0. */
export function places(mask, width, from = 0, size = mask.length) {
  const found = [];
  for (let pixel = 0; pixel < size; pixel += 1) {
    if (mask[from + pixel]) found.push([pixel % width, Math.floor(pixel / width)]);
  }
  return found;
}
