// What is typed goes to the server; what the server sends is shown.
"use strict";

const MOST_LINES = 200;
const SECONDS_BETWEEN_TRIES = 1;

const place = (id) => document.getElementById(id);
const address = new URL("talk", location.href);
address.protocol = location.protocol.replace("http", "ws");
let socket;

function tell(state, text) {
  place("state").dataset.state = state;
  place("state").textContent = text;
}

function show(text) {
  const line = document.createElement("li");
  line.textContent = text; // as text: nobody's words become a part of the page
  place("said").append(line);
  if (place("said").childElementCount > MOST_LINES) place("said").firstChild.remove();
  line.scrollIntoView({ block: "nearest" });
}

function connect() {
  socket = new WebSocket(address);
  socket.onopen = () => tell("live", "connected");
  socket.onmessage = (event) => show(event.data);
  socket.onclose = () => {
    tell("waiting", "not connected, trying again …");
    setTimeout(connect, 1000 * SECONDS_BETWEEN_TRIES);
  };
}

place("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return; // what was typed stays
  socket.send(place("text").value);
  place("text").value = "";
});

connect();
