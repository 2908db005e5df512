// Shows what the server says. A browser that loses the connection makes it anew by itself.
"use strict";

const place = (id) => document.getElementById(id);

function tell(state, text) {
  place("state").dataset.state = state;
  place("state").textContent = text;
}

const feed = new EventSource("events");
feed.onopen = () => tell("live", "connected");
feed.onerror = () => tell("waiting", "not connected, trying again …");
feed.onmessage = (event) => {
  const { clock, visitors } = JSON.parse(event.data);
  place("clock").textContent = clock;
  place("visitors").textContent = visitors;
};
