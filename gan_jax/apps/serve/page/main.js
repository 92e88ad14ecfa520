/** The page: its connection, the list of runs, and the workbench of the run in view. */

import { anomalies } from "./anomalies.js";
import { colorization } from "./colorization.js";
import { completion } from "./completion.js";
import { known } from "./known.js";
import { Connection } from "./socket.js";
import { list, make, template } from "./templates.js";

/**
 * A workbench is made of a run, the connection, and `report(message)` for errors.
 * @typedef {Object} Bench
 * @property {HTMLElement} element
 * @property {() => void} resume asks the server for what is shown; called when the
 *   workbench is seen first, and after each new connection
 * @property {() => void} [leave] called when another one comes into view
 */
const KINDS = {
  generation: { bench: known, words: () => "Known pixels" },
  completion: { bench: completion, words: () => "Completion" },
  colorization: { bench: colorization, words: () => "Colorization" },
  anomalies: { bench: anomalies, words: () => "Anomalies" },
};
KINDS.generation.words = ({ conditional, units }) => {
  if (!conditional) return "Samples";
  return units.codes.length ? "Wells" : "Known pixels";
};

const MOST_ERRORS = 5; // shown at a time
const MOST_FIGURES = 5; // on a card

const main = document.getElementById("main");
const errors = document.getElementById("errors");
const state = document.getElementById("connection");
const connect = document.getElementById("connect");
const tabs = document.getElementById("tabs");

let runs = null;
let connections = 0;
let current = null;
/** Workbenches by the names of their runs, and the connection that each was shown with. */
const benches = new Map();

/** Show an error until it is dismissed. */
function report(message) {
  const dismiss = make("button", { type: "button", ariaLabel: "Dismiss" }, "×");
  const line = make("p", {}, make("span", {}, message), dismiss);
  dismiss.addEventListener("click", () => line.remove());
  const same = [...errors.children].find((each) => each.firstChild.textContent === message);
  same?.remove();
  errors.append(line);
  if (errors.children.length > MOST_ERRORS) errors.firstChild.remove();
}

const WORDS = {
  connecting: "Connecting", connected: "Connected", idle: "Paused", refused: "Not connected",
};

const connection = new Connection({
  error: report,
  state(name) {
    state.dataset.state = name;
    state.textContent = WORDS[name];
    connect.hidden = name !== "idle" && name !== "refused";
  },
  runs(listed) {
    connections += 1;
    const before = runs;
    runs = listed;
    const old = (run) => before?.some((each) => same(each, run));
    for (const name of benches.keys()) {
      const run = runs.find((each) => each.name === name);
      if (!run || !old(run)) benches.delete(name);
    }
    show();
  },
});

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

function address(run) {
  return `#run=${encodeURIComponent(run.name)}`;
}

function gallery() {
  const { element, parts } = template("gallery");
  parts.cards.replaceChildren(...runs.map(card));
  return { element, resume() {} };
}

function card(run) {
  const { element, parts } = template("card");
  parts.kind.textContent = KINDS[run.kind].words(run);
  parts.link.textContent = run.name;
  parts.link.href = address(run);
  parts.description.textContent = run.description;
  list(parts.figures, [["Size", run.size.join(" × ")], ...run.figures.slice(0, MOST_FIGURES)]);
  connection.request("plate", { run: run.name }, {}, true).then((answer) => {
    if (!answer) return;
    const content = new Blob([answer.arrays.content.data], { type: answer.media });
    parts.plate.src = URL.createObjectURL(content);
    parts.plate.alt = `Samples of ${run.name}`;
    parts.plate.onload = () => URL.revokeObjectURL(parts.plate.src);
  });
  return element;
}

function bench(run) {
  if (!benches.has(run.name)) {
    const made = KINDS[run.kind].bench(run, connection, report);
    benches.set(run.name, { ...made, connections: 0 });
  }
  return benches.get(run.name);
}

/** Show what the address names: a run, or the list of runs. */
function show() {
  if (!runs) return;
  const wanted = runs.find((run) => address(run) === location.hash);
  const view = wanted ? bench(wanted) : gallery();
  document.title = wanted ? `${wanted.name} – gan_jax` : "gan_jax";
  tabs.replaceChildren(...runs.map((run) => tab(run, run === wanted)));
  tabs.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  if (view !== current) {
    current?.leave?.();
    const moves = current !== null;
    current = view;
    main.replaceChildren(view.element);
    if (moves) {
      main.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
  }
  if (view.connections !== connections) {
    view.connections = connections;
    view.resume();
  }
}

function tab(run, selected) {
  const link = make("a", { href: address(run) }, run.name);
  if (selected) link.setAttribute("aria-current", "page");
  return make("li", {}, link);
}

window.addEventListener("hashchange", () => {
  errors.replaceChildren();
  show();
});
connect.addEventListener("click", () => {
  connect.hidden = true;
  state.textContent = WORDS.connecting;
  connection.connect();
});
// Whoever comes back to an idle page goes on where it was.
for (const name of ["pointerdown", "keydown"]) {
  main.addEventListener(name, () => {
    if (state.dataset.state === "idle" && !connect.hidden) connect.click();
  });
}
// A file that is dropped does not replace the page.
for (const name of ["dragover", "drop"]) {
  window.addEventListener(name, (event) => event.preventDefault());
}
