/** Completion: paint the hole of a photograph, and see what may have been there. */

import { Picture, heat, heatScale, image } from "./canvases.js";
import { accept, connectSaves, contents } from "./files.js";
import { painting } from "./painting.js";
import { Newest } from "./socket.js";
import { checked, make, number, template, title } from "./templates.js";

/** @returns {import("./main.js").Bench} */
export function completion(run, connection, report) {
  const { element, parts } = template("completion");
  let file = null; // the photograph, to open it again
  let opened = 0; // its number at the server, once it is there
  let searching = false;
  let seed = 0;
  let rank = 0;
  let groups = []; // of pictures, one for each window

  title(parts, run);
  const searches = new Newest(connection, "complete", show, (lost) => {
    searching = false;
    say("");
    if (!lost) hide(); // those in view are of another hole
  });
  const choices = new Newest(connection, "choose", (message) => show(message));
  const hole = painting(element, parts, search);
  const best = new Picture(parts.best);

  /** Search for completions of the hole as it is painted now. */
  function search() {
    if (!opened) return;
    if (!hole.any) {
      stop();
      searching = false;
      searches.cancel();
      hide();
      return;
    }
    if (opened !== connection.opened) {
      open(file, true);
      return;
    }
    searching = true;
    say("Searching");
    searches.send({ run: run.name, image: opened, seed }, { missing: hole.missing });
  }

  function stop() {
    if (searching) connection.ask("stop", { run: run.name }, {}, () => {});
  }

  function hide() {
    for (const part of ["results", "windows"]) parts[part].hidden = true;
  }

  function say(text) {
    if (parts.shown.textContent !== text) parts.shown.textContent = text;
    parts.stop.setAttribute("aria-disabled", !searching);
  }

  /** Choose which of the completions is shown large. */
  function choose(wanted) {
    rank = wanted;
    mark();
    const blended = checked(parts.blending) === "blended";
    choices.send({ run: run.name, rank, blended }, {});
  }

  function mark() {
    for (const { buttons } of groups) {
      buttons.forEach(({ button }, place) => {
        button.setAttribute("aria-pressed", String(place === rank));
      });
    }
  }

  /** Show completions as they come. */
  function show(message) {
    if (!hole.any) return;
    const { images, spread, best: whole } = message.arrays;
    for (const part of ["results", "windows"]) parts[part].hidden = false;
    const completions = images.shape[1];
    if (groups.length !== message.windows.length) {
      groups = message.windows.map(() => group(completions));
      parts.windows.replaceChildren(...groups.map((each) => each.element));
    }
    if (!choices.busy) rank = message.rank;
    best.show(image(whole));
    groups.forEach((each, place) => {
      const [top, left, high, wide] = message.windows[place];
      const several = groups.length > 1;
      each.name.textContent = several ? `Completions ${place + 1}` : "Completions";
      each.where.textContent = several ? `${wide} × ${high} pixels at x ${left}, y ${top}` : "";
      each.buttons.forEach(({ picture, loss, button }, at) => {
        picture.show(image(images, place * completions + at));
        loss.textContent = number(message.losses[place][at]);
        button.setAttribute("aria-label", `Completion ${at + 1}, loss ${loss.textContent}`);
      });
      const [height, width] = spread.shape.slice(1);
      each.most.textContent = number(message.spread_largest);
      each.spread.show(heat(spread, height, width, 1, place));
    });
    mark();
    parts.progress.max = message.iterations;
    parts.progress.value = message.iteration;
    parts.progress.title = `${message.iteration} of ${message.iterations} iterations`;
    searching = !message.done;
    if (searching) say("Searching");
    else say(message.iteration < message.iterations ? "Stopped" : "Done");
  }

  /** Return the pictures of one window. */
  function group(completions) {
    const name = make("h2");
    const where = make("span", { className: "quiet" });
    const buttons = Array.from({ length: completions }, (_, at) => {
      const canvas = make("canvas");
      const button = make("button", { type: "button", className: "picture" }, canvas);
      const loss = make("span", { className: "loss", ariaHidden: "true" });
      button.append(loss);
      button.addEventListener("click", () => choose(at));
      return { button, loss, picture: new Picture(canvas) };
    });
    const canvas = make("canvas", { role: "img", ariaLabel: "Spread of the completions" });
    const most = make("span");
    const ranked = make("ol", { className: "pictures ranked" });
    ranked.append(...buttons.map(({ button }) => make("li", {}, button)));
    return {
      element: make(
        "section", { className: "window" },
        make(
          "div", {},
          make("div", { className: "heading" }, name, where),
          make("p", { className: "quiet note" }, "Ranked by loss. Choose one to see it large."),
          ranked,
        ),
        make(
          "figure", {},
          make("figcaption", {}, make("h2", {}, "Spread")),
          canvas,
          heatScale("0", most),
        ),
      ),
      name,
      where,
      most,
      buttons,
      spread: new Picture(canvas),
    };
  }

  /** Open a photograph at the server, perhaps again; what was painted on it stays then. */
  async function open(wanted, again = false) {
    const entries = { run: run.name, ...wanted.entries };
    if (again) opened = 0;
    const answer = await connection.request("open", entries, wanted.arrays, again);
    if (!answer) return;
    const { preview, missing } = answer.arrays;
    file = wanted;
    opened = answer.image;
    if (!again) {
      const { name } = wanted.entries;
      parts.name.textContent = name;
      parts.board.setAttribute("aria-label", `${name}: paint its hole`);
      parts.empty.hidden = true;
      parts.stage.hidden = false;
      hide();
      rank = 0;
      hole.open(image(preview), missing.data);
    }
    search();
  }

  accept(element, [parts.choose, parts.another], async (files) => {
    try {
      await open(await contents(files));
    } catch (error) {
      report(error.message);
    }
  });
  parts.stop.addEventListener("click", stop);
  parts.new.addEventListener("click", () => {
    seed += 1;
    search();
  });
  parts.blending.addEventListener("change", () => choose(rank));
  connectSaves(element, connection, run.name);
  return {
    element,
    resume() {
      if (file) open(file, true);
    },
    leave: stop,
  };
}
