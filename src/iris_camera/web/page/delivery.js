// Delivery: the links, the files waiting, delivered and given up; and the files kept on this machine afterwards.

import { backlogIn } from "./backlog.js";
import { field, figure, keep, look, tell } from "./elements.js";
import { clock, count, milliseconds, size, some, span } from "./texts.js";

const LINK_LOOKS = { up: "good", down: "bad", idle: "idle" };

const links = new Map();
const place = document.getElementById("links");
const addToBacklog = backlogIn(document.getElementById("backlog"));

/** Show the uploader's part of the state. */
export function showDelivery(state) {
  const { stats, servers } = state.uploader;
  keep(links, Object.keys(servers), place, "link-template");
  for (const [name, link] of Object.entries(servers)) {
    showLink(links.get(name), name, link, state.uploader, state.at_s);
  }
  place.dataset.empty = state.uploader.running ? "No server was needed yet" : "Delivery is not running";
  const records = state.cameras.reduce((sum, camera) => sum + (camera.waiting_records ?? 0), 0);
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

/** Show the files kept after delivery; hidden if there are none. */
export function showRecords(records, nowS) {
  const kept = records?.kept_files > 0 || records?.removed_files > 0;
  document.getElementById("records").hidden = !kept;
  if (!kept) {
    return;
  }
  const last = records.last_removed;
  tell(field("kept"), `${some(records.kept_files, "file", "files")}, ${size(records.kept_bytes)}`);
  const removed = last ? `${clock(last.at_s, nowS)}: removed ${some(last.files, "file", "files")}, ${size(last.bytes)}` : "";
  const why = last?.why ? ` (${last.why})` : "";
  tell(field("removed"), removed && `${removed}${why}`);
}

function showLink(element, name, link, uploader, nowS) {
  const [reason, hint] = remarks(link);
  look(element, uploader.running ? linkLook(link, reason) : "bad");
  tell(field("state", element), linkWords(link, uploader));
  const isSeen = Number.isFinite(link.since_s);
  tell(field("since", element), isSeen ? `since ${clock(link.since_s, nowS)},` : "since before this start");
  tell(field("since-for", element), isSeen ? `for ${span(nowS - link.since_s)}` : "");
  tell(field("reason", element), reason);
  tell(field("hint", element), hint);
  tell(field("server", element), name);
  tell(field("checked", element), checkedWords(link.health));
  tell(field("retry", element), link.link === "down" ? retryWords(link.retry_in_s) : "");
}

/** [reason, hint] of a link: why it is down, why it is on hold, or what a health check found. */
function remarks(link) {
  if (link.link === "down") {
    return [link.reason || "", link.hint || ""];
  }
  if (link.held_back) {
    return [link.held_back, ""];
  }
  if (link.refused > 0 && link.refusal) {
    return [`Refuses ${some(link.refused, "file", "files")}: ${link.refusal.message}`, link.refusal.hint];
  }
  return [link.health?.words || "", link.health?.hint || ""];
}

function linkLook(link, reason) {
  const troubled = reason !== "" && !link.held_back && (link.health?.ok === false || link.refused > 0);
  return link.link !== "down" && troubled ? "notice" : (LINK_LOOKS[link.link] ?? "idle");
}

/** "checked 12 s ago, 3.1 ms, 41.2 GB free"; empty without a health check. */
function checkedWords(health) {
  if (!health) {
    return "";
  }
  const took = health.latency_s === null ? "" : `${milliseconds(health.latency_s * 1000)} ms`;
  const free = health.free_bytes === null ? "" : `${size(health.free_bytes)} free`;
  return [`checked ${span(health.age_s)} ago`, took, free].filter(Boolean).join(", ");
}

function linkWords(link, uploader) {
  if (!uploader.running) {
    return "Delivery stopped";
  }
  if (link.held && !link.paused) {
    return "Needs you";
  }
  return { up: "Link up", down: "Link down", idle: "Link idle" }[link.link] ?? `Link ${link.link}`;
}

function retryWords(seconds) {
  if (!Number.isFinite(seconds)) {
    return "";
  }
  return seconds < 1 ? "trying now" : `next attempt in ${span(seconds)}`;
}
