/** A picture that one works on with a mouse, a finger, a pen, or keys. */

import { Picture, colors } from "./canvases.js";

const ARROWS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};
const FAR = 5; // pixels that an arrow key goes with Shift

/**
 * What a press does; places are `{x, y}` in whole pixels, and may lie outside while a
 * pointer moves.
 * @typedef {Object} Tool
 * @property {(place: Object) => boolean|void} begin false where there is nothing to do
 * @property {(from: Object, to: Object) => void} [move]
 * @property {() => void} [end]
 * @property {() => void} [cancel]
 * @property {boolean} [holds] whether a key begins it and a second one ends it
 */

export class Board {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Object} acts
   * @param {(eraser: boolean, place: Object, unit: number) => Tool} acts.tool the tool
   *   in hand, or the eraser, for a place; a CSS pixel is `unit` pixels
   * @param {(place: Object) => string} acts.describe a place in words
   * @param {(step: number) => void} acts.change what + and - do
   * @param {(context: CanvasRenderingContext2D, unit: number) => void} acts.paint paints
   *   over the picture, below the cursor
   * @param {HTMLElement} readout where `describe` is written
   */
  constructor(canvas, acts, readout) {
    Object.assign(this, { canvas, acts, readout });
    this.cursor = { x: 0, y: 0 };
    this.held = null; // the tool that is at work
    this.hover = null; // the place under a mouse that is not pressed
    this.pointer = null; // its number, while it is pressed
    this.last = null; // where it was before
    this.picture = new Picture(canvas, (...on) => this.paint(...on));
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", (event) => this.release(event, true));
    canvas.addEventListener("pointerleave", () => this.hovers(null));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("keydown", (event) => this.key(event));
    for (const name of ["focus", "blur"]) {
      canvas.addEventListener(name, () => this.draw());
    }
  }

  /** Whether the pointer is over it, or keys go to it. */
  get touched() {
    return this.hover !== null || document.activeElement === this.canvas;
  }

  get unit() {
    return this.picture.width / (this.canvas.clientWidth || this.picture.width);
  }

  /** Set the size of another picture; the cursor goes to its middle. */
  resize(height, width) {
    this.held = null;
    this.picture.resize(height, width);
    this.cursor = { x: Math.floor(width / 2), y: Math.floor(height / 2) };
  }

  draw() {
    this.picture.draw();
    this.read();
  }

  read(place = this.cursor) {
    const text = this.acts.describe(place);
    if (this.readout.textContent !== text) this.readout.textContent = text;
  }

  place({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.picture;
    return {
      x: Math.floor(((clientX - box.left) / box.width) * width),
      y: Math.floor(((clientY - box.top) / box.height) * height),
    };
  }

  /** Return the place on the picture that is nearest to a place. */
  inside({ x, y }) {
    const { width, height } = this.picture;
    return {
      x: Math.min(Math.max(x, 0), width - 1),
      y: Math.min(Math.max(y, 0), height - 1),
    };
  }

  press(event) {
    if (event.button > 2 || event.button === 1 || this.pointer !== null) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.drop(true);
    this.pointer = event.pointerId;
    this.last = this.cursor = this.inside(this.place(event));
    this.take(event.button === 2);
    this.draw();
  }

  drag(event) {
    const place = this.place(event);
    if (event.pointerId !== this.pointer) {
      this.hovers(this.inside(place));
    } else if (place.x !== this.last.x || place.y !== this.last.y) {
      this.held?.move?.(this.last, place);
      this.last = place;
      this.cursor = this.inside(place);
      this.draw();
    }
  }

  /** The pointer is over a place without a press, or has left. */
  hovers(place) {
    this.hover = place;
    this.picture.draw();
    this.read(place ?? this.cursor);
  }

  release(event, cancelled = false) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.drop(cancelled);
    this.draw();
  }

  /** Begin to use the tool in hand, or the eraser, at the cursor. */
  take(eraser) {
    const tool = this.acts.tool(eraser, this.cursor, this.unit);
    this.held = tool.begin(this.cursor) === false ? null : tool;
  }

  /** End what the tool does. */
  drop(cancelled = false) {
    const tool = this.held;
    this.held = null;
    if (cancelled && tool?.cancel) tool.cancel();
    else tool?.end?.();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const known = this.arrow(event) || this.use(event);
    if (!known) return;
    event.preventDefault();
    event.stopPropagation();
    this.draw();
  }

  arrow({ key, shiftKey }) {
    if (!(key in ARROWS)) return false;
    const [right, down] = ARROWS[key].map((step) => step * (shiftKey ? FAR : 1));
    const from = this.cursor;
    this.cursor = this.inside({ x: from.x + right, y: from.y + down });
    this.held?.move?.(from, this.cursor);
    return true;
  }

  use({ key }) {
    if (key === "Enter" || key === " ") {
      if (this.held) this.drop();
      else this.take(false);
      if (!this.held?.holds) this.drop();
    } else if (key === "Delete" || key === "Backspace") {
      this.drop();
      this.take(true);
      this.drop();
    } else if (key === "Escape" && this.held) {
      this.drop(true);
    } else if (["+", "=", "-"].includes(key)) {
      this.acts.change(key === "-" ? -1 : 1);
    } else {
      return false;
    }
    return true;
  }

  paint(context, unit) {
    this.acts.paint(context, unit);
    if (document.activeElement !== this.canvas) return;
    const { x, y } = this.cursor;
    const side = Math.max(1, 9 * unit) + 6 * unit;
    const shift = (side - 1) / 2;
    for (const [width, color] of [[4, colors.paper], [2, colors.accent]]) {
      context.lineWidth = width * unit;
      context.strokeStyle = color;
      context.strokeRect(x - shift, y - shift, side, side);
    }
  }
}

/** Call `visit(x, y)` for the pixels of a line, its first one left out. */
export function line(from, to, visit) {
  const steps = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y));
  for (let step = 1; step <= steps; step += 1) {
    visit(
      Math.round(from.x + ((to.x - from.x) * step) / steps),
      Math.round(from.y + ((to.y - from.y) * step) / steps),
    );
  }
}

/** States that one can go back to and forward again. */
export class History {
  /** @param {number} most states that are kept */
  constructor(most = 100) {
    Object.assign(this, { most, past: [], future: [] });
  }

  /** Keep the state before a change. */
  keep(state) {
    this.past.push(state);
    if (this.past.length > this.most) this.past.shift();
    this.future = [];
  }

  /** Forget all states. */
  clear() {
    this.past = [];
    this.future = [];
  }

  /** Forget the state that was kept last. */
  drop() {
    this.past.pop();
  }

  /** Return the state before, or undefined; `now` can be gone forward to. */
  undo(now) {
    return History.step(this.past, this.future, now);
  }

  redo(now) {
    return History.step(this.future, this.past, now);
  }

  static step(from, to, now) {
    if (!from.length) return undefined;
    to.push(now);
    return from.pop();
  }

  /**
   * Connect the buttons of a workbench, and its keys.
   * @param {HTMLElement} bench
   * @param {Board} board puts down what it holds first
   * @param {{undo: HTMLButtonElement, redo: HTMLButtonElement}} buttons
   * @param {() => Object} now returns the state, as `keep` takes it
   * @param {(state: Object) => void} restore
   */
  connect(bench, board, { undo, redo }, now, restore) {
    const back = () => {
      board.drop();
      if (this.past.length) restore(this.undo(now()));
    };
    const forward = () => {
      board.drop();
      if (this.future.length) restore(this.redo(now()));
    };
    undo.addEventListener("click", back);
    redo.addEventListener("click", forward);
    bench.addEventListener("keydown", (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.target.type === "number") return;
      const key = event.key.toLowerCase();
      if (key !== "z" && key !== "y") return;
      event.preventDefault();
      if (key === "y" || event.shiftKey) forward();
      else back();
    });
    this.show = () => {
      // A disabled button would lose the focus.
      undo.setAttribute("aria-disabled", !this.past.length);
      redo.setAttribute("aria-disabled", !this.future.length);
    };
    this.show();
  }
}
