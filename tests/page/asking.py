"""Requests to a model behind the page, without a server."""

import numpy as np

from gan_jax.apps.serve.messages import Message, decode, encode
from gan_jax.report.files import encode_png


def ask(model, session, kind, arrays=None, **entries):
    """Yield the answers to a request, as a page gets them: encoded and decoded."""
    request = Message(kind, 7, {"run": "run", **entries}, arrays or {})
    for answer in model.answers[kind].make(session, decode(encode(request))):
        assert answer.request == 7
        yield decode(encode(answer))


def asked(model, session, kind, arrays=None, **entries):
    """Return the only answer to a request."""
    (answer,) = ask(model, session, kind, arrays, **entries)
    return answer


def opened(model, session, image, mask=None, name="photo.png"):
    """Return the answer to `open`; the image and the mask are levels or files."""
    content = {"content": as_file(image)}
    if mask is not None:
        content["mask_content"] = as_file(mask)
    return asked(model, session, "open", content, name=name)


def as_file(image):
    """Return levels as a file (PNG), or the bytes of a file, as a request has it."""
    data = image if isinstance(image, bytes) else encode_png(image)
    return np.frombuffer(data, np.uint8)


def file_of(model, session, what, form, **entries):
    """Return the name, the media type and the content of a saved file."""
    answer = asked(model, session, "save", what=what, form=form, **entries)
    name, media = (answer.entries[key] for key in ("name", "media"))
    return name, media, answer.arrays["content"].tobytes()
