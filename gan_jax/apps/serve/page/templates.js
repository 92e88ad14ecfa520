/** What the page is made of: its templates, and text. */

/**
 * Return a copy of a template of index.html. An element in it with `data-include` stands
 * for a copy of the template that it names.
 * @param {string} id
 * @returns {{element: HTMLElement, parts: Object<string, HTMLElement>}} the copy, and its
 *   elements by their `data-part`
 */
export function template(id) {
  const { content } = document.getElementById(id);
  const element = content.firstElementChild.cloneNode(true);
  for (const place of element.querySelectorAll("[data-include]")) {
    place.replaceWith(template(place.dataset.include).element);
  }
  const parts = {};
  for (const part of element.querySelectorAll("[data-part]")) {
    parts[part.dataset.part] = part;
  }
  return { element, parts };
}

/** Return an element with properties and children; strings among them are text. */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Fill a `dl` with pairs of a name and a value. */
export function list(parent, pairs) {
  parent.replaceChildren(
    ...pairs.map(([name, value]) =>
      make("div", {}, make("dt", {}, String(name)), make("dd", {}, number(value))),
    ),
  );
}

/** Return a value as text; a number with at most four digits. */
export function number(value) {
  if (typeof value !== "number") return String(value ?? "–");
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return String(Number(value.toPrecision(4)));
}

/** Return the words for a count, as `1 image` or `3 images`. */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** Write the name and the description of a run at the top of its workbench. */
export function title(parts, run) {
  parts.title.textContent = run.name;
  parts.description.textContent = run.description;
}

/** Return the value of the checked radio button of a fieldset. */
export function checked(fieldset) {
  return fieldset.querySelector(":checked").value;
}
