"""What tests of the page share."""

import jax
import pytest


@pytest.fixture
def compilations():
    """Return the list of programs that are compiled, or loaded, from now on."""
    found = []

    def note(event, seconds, **more):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(more)

    jax.monitoring.register_event_duration_secs_listener(note)
    yield found
    jax.monitoring.unregister_event_duration_listener(note)
