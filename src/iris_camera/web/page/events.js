// Recent events: the cameras' changes of state in one list, newest first.

import { field, look, made, tell } from "./elements.js";
import { clock } from "./texts.js";

const SHOWN = 20;
const LOOKS = { online: "good", stalled: "notice", offline: "bad", disabled: "idle" };

const list = document.getElementById("events");
let shown = "";

/** Show the newest events of all cameras; the list is rebuilt only when it changes. */
export function showEvents(cameras, nowS) {
  const events = cameras
    .flatMap((camera) => (camera.events ?? []).map((event) => ({ ...event, camera: camera.name })))
    .sort((one, other) => other.at_s - one.at_s)
    .slice(0, SHOWN);
  const story = JSON.stringify(events);
  if (story === shown) {
    return;
  }
  shown = story;
  list.dataset.empty = "Nothing has happened yet";
  list.replaceChildren(...events.map((event) => line(event, nowS)));
}

function line(event, nowS) {
  const element = made("event-template");
  look(element, LOOKS[event.state] ?? "idle");
  tell(field("event-time", element), clock(event.at_s, nowS));
  field("event-time", element).dateTime = new Date(event.at_s * 1000).toISOString();
  tell(field("event-camera", element), event.camera);
  tell(field("event-words", element), event.reason ? `${event.state}: ${event.reason}` : event.state);
  return element;
}
