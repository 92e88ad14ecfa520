/** Anomalies: images with their scores, and where they are unusual. */

import { Picture, image } from "./canvases.js";
import { accept, contents, download } from "./files.js";
import { count, list, number, template, title } from "./templates.js";

/** @returns {import("./main.js").Bench} */
export function anomalies(run, connection, report) {
  const { element, parts } = template("anomalies");
  let scored = []; // `{answer, item}`, the most unusual one first
  let batch = {}; // of images that are being scored; another one once they are cleared
  let turn = Promise.resolve(); // the end of what was asked for last
  title(parts, run);

  /** Act after what came before it: the server holds few photographs at once. */
  function inTurn(act) {
    turn = turn.then(act, act);
    return turn;
  }

  /** Open an image at the server, and return its score; null where it has none. */
  async function score({ entries, arrays }) {
    const opened = await connection.request("open", { run: run.name, ...entries }, arrays);
    if (!opened) return null;
    const { image } = opened;
    const answer = await connection.request("score", { run: run.name, image });
    return answer && { ...answer, image };
  }

  /** Let the browser store the map of an image; the server may have forgotten it. */
  async function save(file) {
    const answer = await score(file);
    if (!answer) return;
    const saved = { run: run.name, image: answer.image, what: "map", form: "png" };
    const map = await connection.request("save", saved);
    if (map) download(map);
  }

  function row(file, answer) {
    const { element: item, parts: cells } = template("score");
    const { name } = file.entries;
    new Picture(cells.seen).show(image(answer.arrays.seen));
    new Picture(cells.map).show(image(answer.arrays.map));
    new Picture(cells.scale).show(image(answer.arrays.scale));
    cells.low.textContent = number(answer.map_low);
    cells.high.textContent = number(answer.map_high);
    cells.seen.setAttribute("aria-label", `${name}, as the detector sees it`);
    cells.map.setAttribute("aria-label", `Where ${name} is unusual: ${answer.map_name}`);
    cells.map.title = answer.map_name;
    cells.name.textContent = name;
    cells.verdict.textContent = answer.anomalous ? "Anomalous" : "Normal";
    item.classList.toggle("anomalous", answer.anomalous);
    list(cells.figures, [
      ["Score", answer.score],
      ["Threshold", answer.threshold],
      ["Percentile", answer.percentile],
    ]);
    cells.meter.value = answer.percentile;
    cells.meter.setAttribute("aria-label", `Percentile ${number(answer.percentile)}`);
    cells.save.addEventListener("click", () => inTurn(() => save(file)));
    cells.save.setAttribute("aria-label", `Save the map of ${name}`);
    cells.remove.setAttribute("aria-label", `Remove ${name}`);
    cells.remove.addEventListener("click", () => {
      scored = scored.filter((each) => each.item !== item);
      show();
      parts.choose.focus();
    });
    return item;
  }

  function show() {
    parts.scores.replaceChildren(...scored.map(({ item }) => item));
    parts.heading.hidden = !scored.length;
    parts.drop.classList.toggle("small", scored.length > 0);
    const found = scored.filter(({ answer }) => answer.anomalous).length;
    parts.count.textContent = `${count(scored.length, "image")}, ${found} anomalous`;
  }

  accept(element, [parts.choose], async (files) => {
    const mine = batch;
    for (const each of files) {
      try {
        const file = await contents([each]);
        const answer = await inTurn(() => (mine === batch ? score(file) : null));
        if (mine !== batch) return;
        if (!answer) continue;
        scored.push({ answer, item: row(file, answer) });
        scored.sort((one, other) => other.answer.score - one.answer.score);
        show();
      } catch (error) {
        report(error.message);
      }
    }
  });
  parts.clear.addEventListener("click", () => {
    scored = [];
    batch = {};
    show();
    parts.choose.focus();
  });
  return { element, resume() {} };
}
