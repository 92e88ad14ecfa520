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
  generation: {
    bench: known,
    words: ({ units }) => (units.codes.length ? "Wells" : "Known pixels"),
  },
  completion: { bench: completion, words: () => "Completion" },
  colorization: { bench: colorization, words: () => "Colorization" },
  anomalies: { bench: anomalies, words: () => "Anomalies" },
};

const MOST_ERRORS = 5; // shown at a time
const MOST_FIGURES = 5; // on a card

const main = document.getElementById("main");
const errors = document.getElementById("errors");
const state = document.getElementById("connection");
const connect = document.getElementById("connect");
const tabs = document.getElementById("tabs");

let runs = [];
let connections = 0;
let current = null; // what is in view
let overview = null; // the list of runs
/** Workbenches by the names of their runs, with the connection that each knows. */
const benches = new Map();

/** Show an error until it is dismissed, a passing one at most until there is a connection. */
function report(message, passing = false) {
  const dismiss = make("button", { type: "button", ariaLabel: "Dismiss" }, "×");
  const line = make("p", {}, make("span", {}, message), dismiss);
  line.classList.toggle("passing", passing);
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
  state(name, reason) {
    state.dataset.state = name;
    state.textContent = WORDS[name];
    connect.hidden = name !== "idle" && name !== "refused";
    if (name === "connected") {
      for (const line of errors.querySelectorAll(".passing")) line.remove();
      // A cookie carries the token from here on.
      if (location.search) history.replaceState(null, "", location.pathname + location.hash);
    }
    if (name === "refused") refuse(reason);
  },
  runs(listed) {
    connections += 1;
    const [before, now] = [runs, listed].map((all) => new Set(all.map(JSON.stringify)));
    const kept = runs.filter((run) => now.has(JSON.stringify(run)));
    if (!overview || kept.length < Math.max(before.size, now.size)) {
      for (const run of runs) if (!kept.includes(run)) benches.delete(run.name);
      runs = listed;
      overview = gallery();
      tabs.replaceChildren(...runs.map(tab));
    }
    show();
  },
});

/** Say why there is no connection: on an empty page, or beside what is in view. */
function refuse(reason) {
  if (current) {
    report(reason, true);
    return;
  }
  const heading = make("h1", {}, WORDS.refused);
  main.replaceChildren(make("section", { role: "alert" }, heading, make("p", {}, reason)));
}

function address(run) {
  return `#run=${encodeURIComponent(run.name)}`;
}

/** Return the list of runs as it is shown. */
function gallery() {
  const { element, parts } = template("gallery");
  const cards = runs.map(card);
  parts.cards.replaceChildren(...cards.map((each) => each.element));
  return { element, connections: 0, resume: () => cards.forEach((each) => each.load()) };
}

function card(run) {
  const { element, parts } = template("card");
  parts.kind.textContent = KINDS[run.kind].words(run);
  parts.link.textContent = run.name;
  parts.link.href = address(run);
  parts.description.textContent = run.description;
  list(parts.figures, [["Size", run.size.join(" × ")], ...run.figures.slice(0, MOST_FIGURES)]);
  parts.plate.onload = () => URL.revokeObjectURL(parts.plate.src);
  return {
    element,
    async load() {
      if (parts.plate.src) return;
      const answer = await connection.request("plate", { run: run.name }, {}, true);
      if (!answer) return;
      const content = new Blob([answer.arrays.content.data], { type: answer.media });
      parts.plate.alt = `Samples of ${run.name}`;
      parts.plate.src = URL.createObjectURL(content);
    },
  };
}

function bench(run) {
  if (!benches.has(run.name)) {
    const made = KINDS[run.kind].bench(run, connection, report);
    benches.set(run.name, { ...made, connections: 0 });
  }
  return benches.get(run.name);
}

function tab(run) {
  return make("li", {}, make("a", { href: address(run) }, run.name));
}

/** Show what the address names: a run, or the list of runs. */
function show() {
  if (!overview) return;
  const wanted = runs.find((run) => address(run) === location.hash);
  const view = wanted ? bench(wanted) : overview;
  if (view !== current) {
    current?.leave?.();
    const moves = current !== null;
    current = view;
    main.replaceChildren(view.element);
    document.title = wanted ? `${wanted.name} – gan_jax` : "gan_jax";
    if (moves) {
      main.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
    for (const link of tabs.querySelectorAll("a")) {
      const selected = wanted && link.hash === address(wanted);
      if (selected) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      if (selected) link.scrollIntoView({ block: "nearest", inline: "center" });
    }
  }
  if (view.connections !== connections) {
    view.connections = connections;
    view.resume();
  }
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
