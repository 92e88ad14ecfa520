"""An open page, as a user has it: what one does on it, and what one sees."""

import base64
import time
from urllib.parse import quote

import numpy as np

from gan_jax.apps.serve.messages import decode

SECONDS = 30  # in which something has to happen

CONTENT = """(canvas) => {
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const text = Array.from(data, (each) => String.fromCharCode(each)).join("");
  return [width, height, btoa(text)];
}"""
DROP = """(target, [files, pasted]) => {
  const data = new DataTransfer();
  for (const [name, type, content] of files) {
    const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
    data.items.add(new File([bytes], name, { type }));
  }
  const way = { bubbles: true, cancelable: true };
  if (pasted) {
    target.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, ...way }));
    return;
  }
  for (const name of ["dragover", "drop"]) {
    target.dispatchEvent(new DragEvent(name, { dataTransfer: data, ...way }));
  }
}"""


class Tab:
    """A page in a browser of its own.

    `problems` are errors and warnings of the console, a violation of the content
    security policy among them, and requests to other places than the server.
    """

    def __init__(self, page, url, state="connected"):
        self.page, self.url = page, url
        self.problems, self.sent, self.received, self.flow = [], [], [], []
        page.set_default_timeout(10_000)
        page.on("console", self._note)
        page.on("dialog", lambda dialog: self.problems.append(dialog.message))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", self._request)
        page.on("websocket", self._socket)
        page.goto(url)
        page.wait_for_selector(f"[data-state={state}]")

    def _note(self, message):
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _request(self, request):
        if not request.url.startswith((self.url.partition("?")[0], "blob:", "data:")):
            self.problems.append(f"a request to {request.url}")

    def _socket(self, socket):
        def note(messages, frame):
            messages.append(decode(frame))
            self.flow.append(messages[-1])

        socket.on("framesent", lambda frame: note(self.sent, frame))
        socket.on("framereceived", lambda frame: note(self.received, frame))

    def show(self, run):
        """Follow the link to a run, and return its board."""
        address = quote(run, safe="!~*'()")  # as encodeURIComponent does
        self.page.locator(f'nav a[href="#run={address}"]').click()
        self.page.wait_for_selector(".bench")
        return self

    @property
    def board(self):
        return self.page.locator(".board")

    def part(self, name):
        return self.page.locator(f"[data-part={name}]")

    def until(self, true):
        """Wait until a function returns what is true, and return it."""
        end = time.monotonic() + SECONDS
        while not (found := true()):
            assert time.monotonic() < end, f"nothing happened in {SECONDS} s"
            self.page.wait_for_timeout(20)
        return found

    def answers(self, kind):
        """Return the answers of a kind that came so far."""
        return [each for each in self.received if each.type == kind]

    def requests(self, kind):
        return [each for each in self.sent if each.type == kind]

    def settle(self, request="draw"):
        """Wait until the newest request is answered, and return its answer."""

        def newest():
            numbers = [each.request for each in self.requests(request)][-1:]
            return [each for each in self.received if each.request in numbers]

        # A request that waits at the page is sent when the one before is answered.
        while True:
            found = self.until(newest)[-1]
            self.page.wait_for_timeout(60)
            self.page.evaluate("() => new Promise(requestAnimationFrame)")  # it is seen
            if newest():
                return found

    def at(self, x, y):
        """Return where a pixel of the board is in the window."""
        box = self.board.bounding_box()
        width, height = self.size
        return (
            box["x"] + (x + 0.5) / width * box["width"],
            box["y"] + (y + 0.5) / height * box["height"],
        )

    @property
    def size(self):
        """Width and height of the picture on the board."""
        ratio = self.board.evaluate("canvas => canvas.style.aspectRatio")
        return tuple(int(side) for side in ratio.split("/"))

    def drag(self, *places, button="left"):
        """Press at the first place, move over the others, and release."""
        mouse = self.page.mouse
        self.board.scroll_into_view_if_needed()
        mouse.move(*self.at(*places[0]))
        mouse.down(button=button)
        for place in places[1:]:
            mouse.move(*self.at(*place), steps=4)
        mouse.up(button=button)

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def pictures(self, selector=".pictures canvas"):
        """Return what the canvases show."""
        return self.page.locator(selector).evaluate_all(
            "all => all.map((canvas) => canvas.toDataURL())"
        )

    def colors(self, locator, *places):
        """Return the colours of a canvas at pixels of the picture that it shows."""
        content = _content(locator)
        height, width, _ = content.shape
        across, down = self.size
        return np.array(
            [
                content[int((y + 0.5) / down * height), int((x + 0.5) / across * width)]
                for x, y in places
            ]
        )

    def ringed(self, selector):
        """Return of each canvas whether something on it is ringed in orange."""
        found = []
        for locator in self.page.locator(selector).all():
            red, green, blue = np.moveaxis(_content(locator).astype(int), -1, 0)
            orange = (red > 200) & (green > 80) & (green < 160) & (blue < 60)
            found.append(bool(orange.any()))
        return found

    def drop(self, *files, pasted=False):
        """Drop files, `(name, type, bytes)`, on the page, or paste them."""
        coded = [
            [*names, base64.b64encode(content).decode()] for *names, content in files
        ]
        self.page.locator("main").evaluate(DROP, [coded, pasted])

    def download(self, press):
        """Return the name and the bytes of what a press lets the browser store."""
        with self.page.expect_download() as waited:
            press()
        return waited.value.suggested_filename, waited.value.path().read_bytes()

    def readout(self):
        return self.part("readout").inner_text()

    def errors(self):
        return self.page.locator("#errors p span").all_inner_texts()


def _content(locator):
    """Return what a canvas shows, as an array `[height, width, 3]`."""
    width, height, content = locator.evaluate(CONTENT)
    levels = np.frombuffer(base64.b64decode(content), np.uint8)
    return levels.reshape(height, width, 4)[..., :3]
