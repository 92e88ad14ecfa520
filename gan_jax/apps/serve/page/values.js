/** The value that is set next: a level, a property, a facies code or a colour. */

import { make, number } from "./templates.js";

const STEPS = 51; // of + and - over the whole range

/**
 * Make the control of a value.
 * @param {HTMLElement} parent
 * @param {Object} run with `units` and `channels`
 * @returns {{get: () => number[], change: (step: number) => void,
 *   color: (value: ArrayLike<number>) => string, words: (value: number[]) => string}}
 *   the value in native units, by channel; what + and - do; and of any value its colour
 *   in pictures, and its words
 */
export function valueControl(parent, { units, channels }) {
  const { low, high, codes: all } = units;
  const share = (value) =>
    all.length ? all.indexOf(value) / (all.length - 1) : (value - low) / (high - low);
  const level = (value) => Math.round(255 * share(value));
  const color = (value) => {
    const levels = Array.from(value, level);
    return `rgb(${levels[0]} ${levels[channels > 1 ? 1 : 0]} ${levels[channels > 1 ? 2 : 0]})`;
  };
  const words = (value) => value.map(number).join(", ");
  let control;
  if (units.codes.length) control = codes(parent, units, color);
  else if (channels > 1) control = colour(parent, units);
  else control = property(parent, units, color);
  return { ...control, color, words };
}

function codes(parent, { codes: all, name }, color) {
  const group = make("fieldset", { className: "choice" }, make("legend", {}, name || "Facies"));
  const inputs = all.map((code, place) => {
    const input = make("input", { type: "radio", name: "code", value: code });
    input.checked = place === all.length - 1;
    const swatch = make("i", { className: "swatch" });
    swatch.style.background = color([code]);
    group.append(make("label", {}, input, make("span", {}, swatch, number(code))));
    return input;
  });
  parent.append(group);
  return {
    get: () => [Number(inputs.find((input) => input.checked).value)],
    change(step) {
      const place = inputs.findIndex((input) => input.checked) + step;
      inputs[Math.min(Math.max(place, 0), inputs.length - 1)].checked = true;
    },
  };
}

function property(parent, { low, high, whole, name }, color) {
  const step = whole ? 1 : "any";
  const limits = { min: low, max: high, step, value: high };
  const slider = make("input", { type: "range", ...limits });
  const exact = make("input", { type: "number", ...limits });
  const swatch = make("i", { className: "swatch" });
  const set = (value) => {
    const within = Math.min(Math.max(Number(value), low), high);
    exact.value = whole ? Math.round(within) : Number(within.toPrecision(6));
    slider.value = exact.value;
    swatch.style.background = color([Number(exact.value)]);
  };
  slider.addEventListener("input", () => set(slider.value));
  exact.addEventListener("change", () => set(exact.value));
  slider.setAttribute("aria-label", name || "Value");
  exact.setAttribute("aria-label", `${name || "Value"}, exactly`);
  parent.append(make("span", { className: "label" }, name || "Value"), swatch, slider, exact);
  set(high);
  return {
    get: () => [Number(exact.value)],
    change(steps) {
      const one = (high - low) / STEPS;
      set(Number(exact.value) + steps * (whole ? Math.max(1, Math.round(one)) : one));
    },
  };
}

function colour(parent, { low, high }) {
  const input = make("input", { type: "color", value: "#ffffff" });
  parent.append(make("label", { className: "inline" }, "Colour ", input));
  return {
    get: () =>
      [1, 3, 5].map(
        (from) => low + (parseInt(input.value.slice(from, from + 2), 16) / 255) * (high - low),
      ),
    change() {},
  };
}
