/** Colorization: a grey photograph in colour, and hints that the colours follow. */

import { Board, History } from "./board.js";
import { colors, image } from "./canvases.js";
import { accept, connectSaves, contents } from "./files.js";
import { Newest } from "./socket.js";
import { count, make, template, title } from "./templates.js";

const NEAR = 14; // CSS pixels within which a press meets a hint or the divider
const KNOB = 6; // CSS pixels of the knob on the divider
const RADIUS = 7; // CSS pixels of a hint

/** @returns {import("./main.js").Bench} */
export function colorization(run, connection, report) {
  const { element, parts } = template("colorization");
  let file = null; // the photograph, to open it again
  let opened = 0; // its number at the server, once it is there
  let original = null;
  let colored = null;
  let hints = []; // `{x, y, color}`, the newest last

  title(parts, run);
  parts.hints.hidden = !run.hints;
  const history = new History();
  const newest = new Newest(connection, "colorize", (message) => {
    colored = image(message.arrays.image);
    board.draw();
  });

  /** Ask for the colours under the hints as they are now. */
  function send() {
    history.show();
    if (!opened) return;
    if (opened !== connection.opened) {
      open(file, true);
      return;
    }
    const rows = hints.flatMap(({ x, y, color }) => [x, y, ...rgb(color)]);
    newest.send(
      { run: run.name, image: opened },
      { hints: { data: new Float32Array(rows), shape: [hints.length, 5] } },
    );
  }

  function change(next) {
    hints = next;
    list();
    board.draw();
    send();
  }

  function state() {
    return hints.map((hint) => ({ ...hint }));
  }

  function divider() {
    return (Number(parts.divider.value) / 1000) * board.picture.width;
  }

  function nearest({ x, y }, most) {
    const distance = (hint) => Math.hypot(hint.x - x, hint.y - y);
    const near = hints.filter((hint) => distance(hint) <= most);
    return near.sort((one, other) => distance(one) - distance(other))[0];
  }

  const slide = {
    begin() {},
    move(_, { x }) {
      parts.divider.value = Math.round((1000 * (x + 0.5)) / board.picture.width);
    },
  };

  /** Return the tool that moves a hint, after adding it where it is new. */
  function carry(hint, added) {
    const before = state();
    let kept = false;
    const keep = () => {
      if (!kept) history.keep(before);
      kept = true;
    };
    return {
      holds: !added,
      begin() {
        if (!added) return;
        keep();
        change([...hints, hint]);
      },
      move(_, to) {
        keep();
        Object.assign(hint, board.inside(to));
        change(hints);
      },
      cancel() {
        if (!kept) return;
        history.drop();
        change(before);
      },
    };
  }

  /** Return the tool that removes the nearest hint, if it is near. */
  function remove(place, most) {
    const hint = nearest(place, most);
    return {
      begin() {
        if (!hint) return;
        history.keep(state());
        change(hints.filter((each) => each !== hint));
      },
    };
  }

  const board = new Board(
    parts.board,
    {
      tool(eraser, place, unit) {
        if (!run.hints) return slide;
        const pointed = board.pointer !== null;
        if (eraser) return remove(place, pointed ? NEAR * unit : Infinity);
        const near = nearest(place, NEAR * unit);
        if (near) return carry(near, false);
        const slides = pointed && Math.abs(place.x - divider()) < NEAR * unit;
        return slides ? slide : carry({ ...place, color: parts.color.value }, true);
      },
      change(step) {
        parts.divider.value = Number(parts.divider.value) + 20 * step;
      },
      paint,
      describe({ x, y }) {
        if (!run.hints) return `x ${x}, y ${y}`;
        const hint = hints.find((each) => each.x === x && each.y === y);
        const here = hint ? `, a hint of ${hint.color}` : "";
        return `x ${x}, y ${y}${here}. ${count(hints.length, "hint")}.`;
      },
    },
    parts.readout,
  );

  /** Paint the picture in colour to the right of the divider, and the hints. */
  function paint(context, unit) {
    if (!original) return;
    const { width, height } = board.picture;
    const at = divider();
    if (colored) {
      context.save();
      context.beginPath();
      context.rect(at, 0, width - at, height);
      context.clip();
      context.drawImage(colored, 0, 0, width, height);
      context.restore();
    }
    for (const [wide, color] of [[4, "#0008"], [2, "#fff"]]) {
      context.fillStyle = color;
      context.fillRect(at - (wide / 2) * unit, 0, wide * unit, height);
      context.beginPath();
      context.arc(at, height / 2, (KNOB + wide / 2) * unit, 0, 2 * Math.PI);
      context.fill();
    }
    for (const { x, y, color } of hints) {
      context.beginPath();
      context.arc(x + 0.5, y + 0.5, RADIUS * unit, 0, 2 * Math.PI);
      context.fillStyle = color;
      context.fill();
      for (const [wide, stroke] of [[4, "#000a"], [2, "#fff"]]) {
        context.lineWidth = wide * unit;
        context.strokeStyle = stroke;
        context.stroke();
      }
    }
  }

  /** List the hints, each with its colour and a button that removes it. */
  function list() {
    const rows = hints.map((hint) => {
      const color = make("input", { type: "color", value: hint.color });
      color.setAttribute("aria-label", `Colour at x ${hint.x}, y ${hint.y}`);
      let before = state();
      color.addEventListener("input", () => {
        board.drop();
        hint.color = color.value;
        board.draw();
        send();
      });
      color.addEventListener("change", () => {
        history.keep(before);
        before = state();
        history.show();
      });
      const button = make("button", { type: "button" }, "Remove");
      button.setAttribute("aria-label", `Remove the hint at x ${hint.x}, y ${hint.y}`);
      button.addEventListener("click", () => {
        board.drop();
        history.keep(state());
        change(hints.filter((each) => each !== hint));
        parts.board.focus();
      });
      return make("li", {}, color, make("span", {}, `x ${hint.x}, y ${hint.y}`), button);
    });
    parts.list.replaceChildren(...rows);
  }

  /** Open a photograph at the server, perhaps again. */
  async function open(wanted, again = false) {
    const entries = { run: run.name, ...wanted.entries };
    if (again) opened = 0;
    const answer = await connection.request("open", entries, wanted.arrays, again);
    if (!answer) return;
    file = wanted;
    opened = answer.image;
    if (!again) {
      original = image(answer.arrays.preview);
      colored = null;
      hints = [];
      history.clear();
      parts.name.textContent = wanted.entries.name;
      parts.empty.hidden = true;
      for (const part of ["stage", "results"]) parts[part].hidden = false;
      board.resize(original.height, original.width);
      board.picture.show(original);
      list();
      board.read();
    }
    send();
  }

  accept(element, [parts.choose, parts.another], async (files) => {
    if (files.length > 1) {
      report(`One photograph at a time is coloured: ${files[0].name} is opened`);
    }
    try {
      await open(await contents(files.slice(0, 1)));
    } catch (error) {
      report(error.message);
    }
  });
  parts.divider.addEventListener("input", () => board.picture.draw());
  parts.clear.addEventListener("click", () => {
    board.drop();
    if (!hints.length) return;
    history.keep(state());
    change([]);
  });
  history.connect(element, board, parts, state, change);
  connectSaves(element, connection, run.name);
  parts.board.setAttribute("aria-label", "Photograph, in colour right of the divider");
  return {
    element,
    resume() {
      if (file) open(file, true);
    },
  };
}

function rgb(color) {
  return [1, 3, 5].map((from) => parseInt(color.slice(from, from + 2), 16));
}
