// The page: each state from Iris is written into the elements that are there. Data becomes text, never markup.
//
// The newest state replaces everything shown; nothing is counted up here. Ages are by Iris's clock, both ends of
// them; times of day are by this machine's.

import { backlogIn } from "./backlog.js";
import { follow } from "./connection.js";
import { showPictures } from "./picture.js";
import { clock, count, rate, some, span } from "./words.js";

const HEALTH_LOOKS = { ready: "good", attention: "notice", unready: "bad" };
const LINK_LOOKS = { up: "good", down: "bad", idle: "idle" };
const STALLED_AFTER_S = 3;

const cameras = new Map();
const links = new Map();
const addToBacklog = backlogIn(document.getElementById("backlog"));
let firstVersion = null;
let story = null;

function field(name, within = document) {
  return within.querySelector(`[data-field="${name}"]`);
}

/** Write words into an element, only when they are others: unchanged text is not touched, hidden when empty. */
function tell(element, words) {
  if (element.textContent !== words) {
    element.textContent = words;
  }
  if (element.hidden !== (words === "") && element.matches("p")) {
    element.hidden = words === "";
  }
}

/** A figure; one with many digits is written smaller, to stay in its tile. */
function figure(name, words, within = document) {
  const element = field(name, within);
  tell(element, words);
  element.style.setProperty("--digits", words.length);
}

/** Give an element the colour of its state, and the shape in it the matching form. */
function look(element, name) {
  if (element.dataset.look === name) {
    return;
  }
  element.dataset.look = name;
  const shape = element.querySelector(".shape use");
  if (shape) {
    shape.setAttribute("href", `#shape-${name}`);
  }
}

/** The element of each name, made from the template when it is new; those no longer named are taken away. */
function keep(elements, names, place, templateId, prepare) {
  for (const [name, element] of elements) {
    if (!names.includes(name)) {
      element.remove();
      elements.delete(name);
    }
  }
  for (const name of names) {
    if (!elements.has(name)) {
      const element = document.getElementById(templateId).content.firstElementChild.cloneNode(true);
      element.dataset.name = name;
      document.getElementById(place).append(element);
      elements.set(name, element);
      prepare(element, name);
    }
  }
}

function prepareCamera(element, name) {
  let shownFrames = null;
  let askedFrames = null;
  element.frames = null;
  showPictures(
    element.querySelector(".picture"),
    name,
    () => {
      askedFrames = element.frames;
      return askedFrames !== null && askedFrames !== shownFrames;
    },
    () => {
      shownFrames = askedFrames;
      tell(field("no-picture", element), "");
    },
  );
}

function cameraProblem(camera) {
  if (camera.state === "disabled") {
    return "Switched off";
  }
  if (camera.state === "offline") {
    return "Offline: no picture from this camera";
  }
  if (camera.state === "stalled" || camera.frame_age_s > STALLED_AFTER_S) {
    return `No new picture for ${span(camera.frame_age_s ?? 0)}`;
  }
  return "";
}

function showCamera(element, camera) {
  const problem = cameraProblem(camera);
  element.frames = camera.frames;
  tell(field("name", element), camera.name);
  tell(field("stale-picture", element), problem);
  look(element.querySelector(".picture"), problem ? "bad" : "good");
  look(element.querySelector('[data-part="rate"]'), problem ? "bad" : "calm");
  figure("frames-per-second", rate(camera.frames_per_s), element);
  tell(field("frame", element), `frame ${count(camera.frames)}`);
  tell(field("frames-remark", element), `${count(camera.skipped)} skipped`);
  figure("parts", count(camera.parts), element);
  tell(field("parts-remark", element), `in ${some(camera.csv_files, "CSV file", "CSV files")}`);
  figure("defects", count(camera.defects), element);
  const share = camera.parts > 0 ? (100 * camera.defects) / camera.parts : 0;
  tell(field("defects-remark", element), camera.parts > 0 ? `${share.toFixed(1)} % of parts` : "");
}

function linkWords(link, uploader) {
  if (!uploader.running) {
    return "Delivery stopped";
  }
  return { up: "Link up", down: "Link down", idle: "Link idle" }[link.link] ?? `Link ${link.link}`;
}

function retryWords(seconds) {
  if (!Number.isFinite(seconds)) {
    return "";
  }
  return seconds < 1 ? "trying now" : `next attempt in ${span(seconds)}`;
}

function showLink(element, name, link, uploader, nowS) {
  const down = link.link === "down";
  look(element, uploader.running ? (LINK_LOOKS[link.link] ?? "idle") : "bad");
  tell(field("state", element), linkWords(link, uploader));
  tell(field("since", element), `since ${clock(link.since_s, nowS)}, for ${span(nowS - link.since_s)}`);
  tell(field("reason", element), (down && link.reason) || "");
  tell(field("hint", element), (down && link.hint) || "");
  tell(field("server", element), name);
  tell(field("retry", element), down ? retryWords(link.retry_in_s) : "");
}

function showNoLinks(state) {
  const running = state.uploader.running;
  const placeholder = document.getElementById("links");
  placeholder.dataset.empty = running ? "No server was needed yet" : "Delivery is not running";
}

function showDelivery(state) {
  const { stats, servers } = state.uploader;
  const records = state.cameras.reduce((sum, camera) => sum + camera.waiting_records, 0);
  const oldest = state.uploader.oldest_waiting_s;
  const age = stats.queue_size > 0 && oldest !== null ? `the oldest for ${span(oldest)}` : "";
  const outside = records > 0 ? `${some(records, "more file", "more files")} not yet accepted` : "";
  figure("waiting", count(stats.queue_size));
  tell(field("waiting-remark"), [age, outside].filter(Boolean).join(", "));
  figure("delivered", count(stats.total_uploaded));
  tell(field("delivered-remark"), `of ${count(stats.total_queued)} accepted`);
  figure("failed", count(stats.total_failed));
  tell(field("failed-remark"), stats.total_failed > 0 ? "given up" : "");
  look(document.getElementById("failed"), stats.total_failed > 0 ? "bad" : "calm");
  const down = Object.values(servers).some((link) => link.link === "down");
  const { most, outage, windowS } = addToBacklog(state.at_s, stats.queue_size, down);
  tell(field("backlog-from"), `${span(windowS)} ago`);
  tell(field("backlog-remark"), `most ${count(most)}${outage ? ", shaded: link down" : ""}`);
}

/** Once for each change of state: the tab's title, and a sentence for those who listen to the page. */
function announce(state) {
  const down = Object.values(state.uploader.servers).filter((link) => link.link === "down").length;
  const waiting = `${count(state.uploader.stats.queue_size)} waiting`;
  const headline = !state.health.ready ? "not ready" : down ? `link down, ${waiting}` : waiting;
  document.title = `Iris: ${headline}`;
  const now = [state.health.state, ...Object.entries(state.uploader.servers).map(([name, link]) => name + link.link)].join();
  if (now !== story) {
    story = now;
    tell(document.getElementById("announcement"), state.health.sentence);
  }
}

function show(state) {
  firstVersion ??= state.version;
  if (state.version !== firstVersion) {
    window.location.reload(); // Iris was updated: so is its page
    return;
  }
  document.body.dataset.news = "fresh";
  tell(field("no-news"), "");
  tell(field("retry-news"), "");
  tell(field("sentence"), state.health.sentence);
  look(document.getElementById("sentence"), HEALTH_LOOKS[state.health.state] ?? "bad");

  keep(cameras, state.cameras.map((camera) => camera.name), "cameras", "camera-template", prepareCamera);
  for (const camera of state.cameras) {
    showCamera(cameras.get(camera.name), camera);
  }
  const servers = Object.entries(state.uploader.servers);
  keep(links, servers.map(([name]) => name), "links", "link-template", () => {});
  for (const [name, link] of servers) {
    showLink(links.get(name), name, link, state.uploader, state.at_s);
  }
  showNoLinks(state);
  showDelivery(state);
  announce(state);
  tell(field("version"), `Iris ${state.version}`);
  tell(field("heard"), `state of ${clock(state.at_s, state.at_s)}`);
}

function showSilence({ sinceMs, retryInS, reason }) {
  document.body.dataset.news = "none";
  document.title = "Iris: no news";
  tell(document.getElementById("announcement"), ""); // said by the alert instead
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
