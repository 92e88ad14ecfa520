/**
 * The connection to the server: frames, requests, and connecting again.
 * docs/page.md describes the messages.
 */

const KINDS = { uint8: Uint8Array, float32: Float32Array };
const PROTOCOL = 1; // version of the messages
const LARGEST = 2 ** 25; // bytes of a frame that the server reads
const FIRST_PAUSE = 250; // milliseconds before connecting again
const LONGEST_PAUSE = 4000;
const REFUSALS = 3; // connections that fail before the page asks why
const FORBIDDEN = 403;
/** Codes of a close after which the user asks for a new connection. */
const ENDED = { 4000: "idle", 4001: "refused" };

/**
 * Return a message as a frame.
 * @param {string} type
 * @param {number} request number that the answers repeat
 * @param {Object} entries further entries of the header
 * @param {Object<string, {data: Uint8Array|Float32Array, shape: number[]}>} arrays
 * @returns {Uint8Array}
 */
export function encode(type, request, entries, arrays) {
  const listed = Object.entries(arrays).map(([name, { data, shape }]) => [
    name, data instanceof Float32Array ? "float32" : "uint8", shape,
  ]);
  const header = new TextEncoder().encode(
    JSON.stringify({ type, request, ...entries, arrays: listed }),
  );
  const parts = Object.values(arrays).map(
    ({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  );
  const size = parts.reduce((sum, part) => sum + part.length, 4 + header.length);
  const frame = new Uint8Array(size);
  new DataView(frame.buffer).setUint32(0, header.length, true);
  frame.set(header, 4);
  let place = 4 + header.length;
  for (const part of parts) {
    frame.set(part, place);
    place += part.length;
  }
  return frame;
}

/**
 * Return the header of a frame, with its arrays by name under `arrays`.
 * @param {ArrayBuffer} frame
 */
export function decode(frame) {
  const length = new DataView(frame).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, 4, length)));
  let place = 4 + length;
  const arrays = {};
  for (const [name, kind, shape] of header.arrays) {
    const Kind = KINDS[kind];
    const size = shape.reduce((product, side) => product * side, Kind.BYTES_PER_ELEMENT);
    // A copy begins at a multiple of four bytes, as floats must.
    arrays[name] = { data: new Kind(frame.slice(place, place + size)), shape };
    place += size;
  }
  return { ...header, arrays };
}

/** A connection that is made again whenever it is lost. */
export class Connection {
  /**
   * @param {Object} listeners
   * @param {(state: "connecting"|"connected"|"idle"|"refused", reason: string) => void}
   *   listeners.state told with the reason for which it is refused
   * @param {(runs: Object[]) => void} listeners.runs called at each connection
   * @param {(message: string, passing?: boolean) => void} listeners.error a passing one
   *   matters until there is a connection
   */
  constructor(listeners) {
    this.listeners = listeners;
    this.waiting = new Map();
    this.number = 0;
    this.opened = 0; // number of the newest image; the server forgets old ones
    this.pause = FIRST_PAUSE;
    this.failures = 0; // since the last connection
    this.connect();
  }

  connect() {
    const address = new URL("socket", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.connected = false; // until the server has listed its runs
    this.reason = ""; // why it does not
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.receive(decode(data));
    this.socket.onclose = ({ code }) => this.lose(code);
  }

  async lose(code) {
    const unanswered = [...this.waiting.values()];
    this.waiting.clear();
    for (const answered of unanswered) answered({ type: "lost", arrays: {} });
    this.listeners.state(ENDED[code] ?? "connecting", this.reason);
    if (code in ENDED) return;
    this.failures += 1;
    const reason = this.failures < REFUSALS ? "" : await refusal();
    if (reason) {
      this.listeners.state("refused", reason);
      return;
    }
    setTimeout(() => this.connect(), this.pause * (0.75 + Math.random() / 2));
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
  }

  receive(message) {
    if (message.type === "error" && this.connected) this.listeners.error(message.message);
    else if (message.type === "error") this.reason = message.message;
    if (message.type === "opened") this.opened = message.image;
    if (message.type === "runs") {
      this.pause = FIRST_PAUSE;
      this.failures = 0;
      this.connected = true;
      this.listeners.state("connected", "");
      if (message.protocol !== PROTOCOL) {
        this.listeners.error("The server has another version: load the page anew");
      }
      this.listeners.runs(message.runs);
    } else {
      this.waiting.get(message.request)?.(message);
    }
  }

  /**
   * Send a request.
   * @param {(message: Object) => void} answered called with each of its answers, the
   *   last of which may be of the type `error`, or `lost` with the connection
   * @returns {number} its number, for `forget`
   */
  ask(type, entries, arrays, answered) {
    const request = (this.number += 1);
    const frame = encode(type, request, entries, arrays);
    if (frame.length > LARGEST) {
      const most = LARGEST / 2 ** 20;
      this.listeners.error(`${entries.name ?? type}: larger than ${most} MiB`);
      queueMicrotask(() => answered({ type: "error", arrays: {} }));
    } else if (this.socket.readyState !== WebSocket.OPEN) {
      queueMicrotask(() => answered({ type: "lost", arrays: {} }));
    } else {
      this.waiting.set(request, answered);
      this.socket.send(frame);
    }
    return request;
  }

  /** Hear no more answers to a request. */
  forget(request) {
    this.waiting.delete(request);
  }

  /**
   * Send a request that has one answer, and return it; null where it failed.
   * @param {boolean} [quiet] whether it is asked again with a new connection
   */
  async request(type, entries, arrays = {}, quiet = false) {
    const answer = await new Promise((resolve) => {
      const request = this.ask(type, entries, arrays, (message) => {
        this.forget(request);
        resolve(message);
      });
    });
    if (answer.type === "lost" && !quiet) {
      const reason = "The server could not be reached: try again once connected";
      this.listeners.error(reason, true);
    }
    return answer.type === "error" || answer.type === "lost" ? null : answer;
  }
}

/** Return the line with which the server refuses this browser; empty where it does not. */
async function refusal() {
  try {
    const answer = await fetch(location.pathname, { cache: "no-store" });
    return answer.status === FORBIDDEN ? await answer.text() : "";
  } catch {
    return ""; // it is not there
  }
}

/**
 * Requests of which only the newest matters. One at a time is on its way; of those that
 * come meanwhile the newest is sent when it has been answered.
 */
export class Newest {
  /**
   * @param {Connection} connection
   * @param {string} type
   * @param {(message: Object) => void} answered called with each answer to the newest
   *   request that was sent
   * @param {(lost: boolean) => void} [failed] called where its answer is an error, or
   *   the connection was lost
   */
  constructor(connection, type, answered, failed = () => {}) {
    Object.assign(this, { connection, type, answered, failed });
    this.request = 0;
    this.busy = false;
    this.next = null;
  }

  /** Send a request as soon as the one before it has been answered for the first time. */
  send(entries, arrays) {
    this.next = [entries, arrays];
    if (!this.busy) this.advance();
  }

  advance() {
    const [entries, arrays] = this.next;
    this.next = null;
    this.busy = true;
    this.connection.forget(this.request);
    this.request = this.connection.ask(this.type, entries, arrays, (message) => {
      this.busy = false;
      const lost = message.type === "lost";
      if (lost) this.next = null; // sent again once connected
      if (lost || message.type === "error") this.failed(lost);
      else this.answered(message);
      if (this.next && !this.busy) this.advance();
    });
  }

  /** Forget what has not been answered. */
  cancel() {
    this.connection.forget(this.request);
    this.busy = false;
    this.next = null;
  }
}
