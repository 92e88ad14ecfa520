/** Files in and out. */

/** What the name of a mask holds, and that of its image does not; the surest first. */
const MASKS = [
  /(^|[^a-z])mask([^a-z]|$)/i, /mask/i, /(^|[^a-z])(hole|missing|known)([^a-z]|$)/i,
];

/**
 * Call `take(files)` for files that are chosen, and for those that are dropped or pasted
 * while an element is in view.
 * @param {HTMLElement} element
 * @param {HTMLInputElement[]} inputs
 * @param {(files: File[]) => void} take
 */
export function accept(element, inputs, take) {
  for (const input of inputs) {
    input.addEventListener("change", () => {
      const files = [...input.files];
      input.value = ""; // so that the same file can be chosen again
      if (files.length) take(files);
    });
  }
  const listen = (name, act) => {
    document.addEventListener(name, (event) => {
      if (element.isConnected) act(event);
    });
  };
  const mark = (inside) => element.classList.toggle("over", inside);
  listen("dragover", ({ dataTransfer }) => mark(dataTransfer.types.includes("Files")));
  listen("dragleave", ({ relatedTarget }) => mark(relatedTarget !== null));
  listen("drop", ({ dataTransfer }) => {
    mark(false);
    if (dataTransfer.files.length) take([...dataTransfer.files]);
  });
  listen("paste", ({ clipboardData }) => {
    if (clipboardData.files.length) take([...clipboardData.files]);
  });
}

/**
 * Return entries and arrays of a request for one file, or for an image and its mask.
 * @param {File[]} files
 * @throws {Error} where there are more
 */
export async function contents(files) {
  if (files.length > 2) throw new Error("Drop one file, or an image and its mask");
  const [first, second] = files;
  const [image, mask] = second && isMask(first, second) ? [second, first] : files;
  const entries = { name: image.name };
  const arrays = { content: await bytes(image) };
  if (mask) {
    entries.mask_name = mask.name;
    arrays.mask_content = await bytes(mask);
  }
  return { entries, arrays };
}

/** Return whether of two files the first one is the mask. */
function isMask(first, second) {
  const apart = MASKS.find((words) => words.test(first.name) !== words.test(second.name));
  return apart !== undefined && apart.test(first.name);
}

async function bytes(file) {
  let content;
  try {
    content = await file.arrayBuffer();
  } catch {
    throw new Error(`${file.name} cannot be read`); // a folder, for example
  }
  return { data: new Uint8Array(content), shape: [content.byteLength] };
}

/** Let the browser store the file of an answer. */
export function download({ name, media, arrays }) {
  const address = URL.createObjectURL(new Blob([arrays.content.data], { type: media }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

/**
 * Connect the buttons of a workbench that download a result of its run.
 * @param {HTMLElement} bench
 * @param {import("./socket.js").Connection} connection
 * @param {string} run its name
 */
export function connectSaves(bench, connection, run) {
  for (const button of bench.querySelectorAll("[data-save]")) {
    button.addEventListener("click", async () => {
      const { save: what, form } = button.dataset;
      const answer = await connection.request("save", { run, what, form });
      if (answer) download(answer);
    });
  }
}
