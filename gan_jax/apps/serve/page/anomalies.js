/** Anomalies: images with their scores, and where they are unusual. */

import { Picture, image } from "./canvases.js";
import { accept, contents, download } from "./files.js";
import { count, list, number, template, title } from "./templates.js";

/** @returns {import("./main.js").Bench} */
export function anomalies(run, connection, report) {
  const { element, parts } = template("anomalies");
  let scored = []; // `{score, item}`, the most unusual one first
  title(parts, run);

  /** Open an image at the server, and return its score; null where it has none. */
  async function score({ entries, arrays }) {
    const opened = await connection.request("open", { run: run.name, ...entries }, arrays);
    if (!opened) return null;
    return connection.request("score", { run: run.name, image: opened.image });
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
    // The server keeps the result of one image only: it is scored again.
    cells.save.addEventListener("click", async () => {
      if (!(await score(file))) return;
      const saved = { run: run.name, what: "map", form: "png" };
      const map = await connection.request("save", saved);
      if (map) download(map);
    });
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
    for (const each of files) {
      try {
        const file = await contents([each]);
        const answer = await score(file);
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
    show();
    parts.choose.focus();
  });
  return { element, resume() {} };
}
