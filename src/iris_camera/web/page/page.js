// The page: each state from Iris is written into the existing elements.
//
// The newest state replaces everything shown; the page counts nothing itself. Both ends of an age are by Iris's clock;
// times of day are by the clock of the browser's machine.

import { showCameras } from "./cameras.js";
import { follow } from "./connection.js";
import { showDelivery, showRecords } from "./delivery.js";
import { field, look, tell } from "./elements.js";
import { showEvents } from "./events.js";
import { clock, count } from "./texts.js";

const HEALTH_LOOKS = { working: "good", degraded: "notice", "needs you": "bad", failed: "bad" };

let firstVersion = null;
let story = null;

/** Once for each change of state: the tab's title, and a sentence for screen readers. */
function announce(state) {
  const links = Object.entries(state.uploader.servers);
  const down = links.some(([, link]) => link.link === "down");
  const waiting = `${count(state.uploader.stats.queue_size)} waiting`;
  const { severity } = state.health;
  const trouble = severity === "needs you" ? "needs you" : severity === "failed" ? "not ready" : "";
  const headline = trouble || (down ? `link down, ${waiting}` : waiting);
  const title = `Iris: ${headline}`;
  if (document.title !== title) {
    document.title = title;
  }
  const now = JSON.stringify([
    state.health.severity,
    links.map(([name, link]) => [name, link.link]),
    state.cameras.map((camera) => [camera.name, camera.state, camera.inspection?.state]),
  ]);
  if (now !== story) {
    story = now;
    tell(document.getElementById("announcement"), state.health.sentence);
  }
}

function show(state) {
  firstVersion ??= state.version;
  if (state.version !== firstVersion) {
    window.location.reload(); // Iris was updated: load its new page
    return;
  }
  document.body.dataset.news = "fresh";
  tell(field("no-news"), "");
  tell(field("retry-news"), "");
  tell(field("sentence"), state.health.sentence);
  look(document.getElementById("sentence"), HEALTH_LOOKS[state.health.severity] ?? "bad");
  tell(field("notice"), state.notice ?? "");
  showCameras(state.cameras, state.at_s);
  showDelivery(state);
  showEvents(state.cameras, state.at_s);
  showRecords(state.records, state.at_s);
  announce(state);
  tell(field("version"), `Iris ${state.version}`);
  tell(field("heard"), `state of ${clock(state.at_s, state.at_s)}`);
}

function showSilence({ sinceMs, retryInS, reason }) {
  document.body.dataset.news = "none";
  document.title = "Iris: no news";
  tell(document.getElementById("announcement"), ""); // the alert says it instead
  story = null;
  const nowS = Date.now() / 1000;
  const since = sinceMs === null ? "No news from Iris yet" : `No news from Iris since ${clock(sinceMs / 1000, nowS)}`;
  const why = reason ? ` (${reason})` : "";
  const then = sinceMs === null ? "" : " What you see is from then.";
  tell(field("no-news"), `${since}${why}.${then}`);
  tell(field("retry-news"), retryInS > 0 ? `Trying again in ${retryInS} s.` : "Trying to reach it.");
}

const socketAddress = new URL("live", document.baseURI);
socketAddress.protocol = socketAddress.protocol.replace("http", "ws");
follow(socketAddress, show, showSilence);
