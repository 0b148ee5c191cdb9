// The cameras: one tile each, which comes and goes with its camera. An old picture is never shown as if it were new:
// it is grey, and its age and the reason stand on it.
//
// A camera's state may lack a value; the page then shows a dash.

import { field, figure, keep, look, tell } from "./elements.js";
import { hidePictures, isVisible, showPictures } from "./picture.js";
import { clock, count, milliseconds, rate, some, span } from "./texts.js";

const STATE_WORDS = { online: "Online", stalled: "Stalled", offline: "Offline", disabled: "Disabled" };
const STALLED_AFTER_S = 5;
const STALLED_AFTER_FRAMES = 3; // of a camera whose frames are further apart
const OLD_PICTURE_S = 10;
const SLOW = 0.8; // of the rate aimed at
const FEW = 2; // up to so many cameras show their details from the start
const PHONE_WIDTH = 900;
const MANY = 9; // from so many on, a tile shows only what can be read from a distance

const tiles = new Map();
const place = document.getElementById("cameras");
let nowS = 0;

/** Show these cameras and no others; `atS` is Iris's clock. */
export function showCameras(cameras, atS) {
  nowS = atS;
  layOut(cameras.length);
  const names = cameras.map((camera) => camera.name);
  keep(tiles, names, place, "camera-template", { arrive: (tile, name) => arrive(tile, name, cameras.length), leave });
  for (const camera of cameras) {
    showCamera(tiles.get(camera.name), camera);
  }
}

/** Few rows, so that pictures are wide: one for two cameras, two up to eight, then three. */
function layOut(number) {
  const rows = number <= 2 ? 1 : number < MANY ? 2 : 3;
  place.style.setProperty("--columns", Math.max(1, Math.ceil(number / rows)));
  document.body.dataset.cameras = number >= MANY ? "many" : number > 1 ? "few" : "one";
}

function arrive(tile, name, numberOfCameras) {
  tile.shown = { frames: null, takenS: null };
  tile.newest = { frames: null, takenS: null };
  tile.querySelector("details").open = numberOfCameras <= FEW && window.innerWidth > PHONE_WIDTH;
  tell(field("name", tile), name);
  tell(field("details-of", tile), `Details of camera ${name}`);
  let asked = null;
  showPictures(
    tile.querySelector(".picture"),
    name,
    () => {
      asked = tile.newest;
      return asked.frames > 0 && asked.frames !== tile.shown.frames;
    },
    (image) => {
      tile.shown = asked;
      image.alt = pictureWords(tile);
      tell(field("no-picture", tile), "");
    },
  );
}

function leave(tile) {
  hidePictures(tile.querySelector(".picture"));
}

function pictureWords(tile) {
  const kind = tile.dataset.stale === "yes" ? "Old" : "Latest";
  return `${kind} picture of camera ${tile.dataset.name}, with a box around each part`;
}

/** Seconds without a new picture after which a camera counts as stalled; Infinity for an irregular source. */
function stalledAfterS(camera) {
  if (camera.frame_rate > 0) {
    return Math.max(STALLED_AFTER_S, STALLED_AFTER_FRAMES / camera.frame_rate);
  }
  return camera.live === false ? Infinity : STALLED_AFTER_S;
}

/** What is wrong with the camera: {look, stale, words, reason}, or null. `stale`: its picture is old. */
function troubleOf(camera) {
  const reason = camera.reason ?? "";
  const forSpan = Number.isFinite(camera.since_s) ? ` for ${span(nowS - camera.since_s)}` : "";
  if (camera.state === "disabled" && camera.ended) {
    return { look: "idle", stale: true, words: "Ended", reason: reason || "it has come to its end" };
  }
  if (camera.state === "disabled") {
    return { look: "idle", stale: true, words: "Disabled", reason: reason || "switched off" };
  }
  if (camera.state === "offline") {
    return { look: "bad", stale: true, words: `Offline${forSpan}`, reason: reason || "no picture from this camera" };
  }
  if (camera.state === "stalled" || camera.frame_age_s > stalledAfterS(camera)) {
    const age = Number.isFinite(camera.frame_age_s) ? ` for ${span(camera.frame_age_s)}` : forSpan;
    return { look: "bad", stale: true, words: `No new picture${age}`, reason };
  }
  return inspectionTrouble(camera.inspection ?? {});
}

function inspectionTrouble(inspection) {
  const reason = inspection.reason ?? "";
  if (inspection.state === "stopped") {
    return { look: "bad", stale: true, words: "Inspection stopped", reason };
  }
  if (inspection.state === "restarting") {
    return { look: "notice", stale: false, words: "Inspection restarting", reason };
  }
  return null;
}

/** The camera works, but the picture on this page is old: the pictures arrive late. */
function lateness(tile) {
  const ageS = nowS - tile.shown.takenS;
  const behind = tile.shown.takenS !== null && tile.newest.frames !== tile.shown.frames;
  if (!behind || ageS < OLD_PICTURE_S || !isVisible(tile.querySelector(".picture"))) {
    return null;
  }
  return { look: "notice", stale: true, words: "Pictures arrive late", reason: "the camera has newer ones" };
}

function showCamera(tile, camera) {
  const taken = Number.isFinite(camera.frame_age_s) ? nowS - camera.frame_age_s : null;
  if (tile.newest.frames !== camera.frames) {
    tile.newest = { frames: camera.frames, takenS: taken };
  }
  const trouble = troubleOf(camera) ?? lateness(tile);
  showTrouble(tile, camera, trouble);
  showFigures(tile, camera);
  showDetails(tile, camera);
}

function showTrouble(tile, camera, trouble) {
  const words = STATE_WORDS[camera.state] ?? camera.state;
  look(tile.querySelector(".caption"), trouble?.look ?? "good");
  tell(field("camera-state", tile), words);
  tell(field("camera-since", tile), Number.isFinite(camera.since_s) ? `since ${clock(camera.since_s, nowS)}` : "");
  tile.setAttribute("aria-label", `Camera ${camera.name}: ${trouble ? trouble.words : words}`);
  const stale = trouble?.stale ? "yes" : "no";
  if (tile.dataset.stale !== stale) {
    tile.dataset.stale = stale;
    const image = tile.querySelector("img");
    if (image) {
      image.alt = pictureWords(tile);
    }
  }
  const banner = tile.querySelector('[data-part="trouble"]');
  banner.hidden = trouble === null;
  look(banner, trouble?.look ?? "good");
  tell(field("trouble", tile), trouble?.words ?? "");
  tell(field("trouble-reason", tile), trouble?.reason ?? "");
  const takenS = tile.shown.takenS;
  const age = stale === "yes" && takenS !== null ? `Picture is ${span(nowS - takenS)} old` : "";
  tell(field("picture-age", tile), age);
}

function isSlow(camera) {
  return camera.frame_rate > 0 && camera.state === "online" && camera.frames_per_s < SLOW * camera.frame_rate;
}

function showFigures(tile, camera) {
  const aim = camera.frame_rate > 0 ? camera.frame_rate : null;
  const slow = isSlow(camera);
  figure("frames-per-second", rate(camera.frames_per_s), tile);
  tell(field("frames-remark", tile), aim === null ? "" : `of ${aimed(aim)}${slow ? ", slow" : ""}`);
  look(tile.querySelector('[data-part="rate"]'), slow ? "notice" : "calm");
  figure("parts", count(camera.parts), tile);
  tell(field("parts-remark", tile), some(camera.csv_files, "file", "files"));
  figure("defects", count(camera.defects), tile);
  const share = (100 * camera.defects) / camera.parts;
  tell(field("defects-remark", tile), camera.parts > 0 ? `${share.toFixed(1)} %` : "");
}

/** 25 -> "25", 29.97 -> "30.0" */
function aimed(aim) {
  return Number.isInteger(aim) ? count(aim) : rate(aim);
}

function showDetails(tile, camera) {
  const inspection = camera.inspection ?? {};
  const inference = inspection.inference_ms;
  const skippedEvidence = camera.evidence_skipped > 0 ? `, ${count(camera.evidence_skipped)} skipped` : "";
  const detector = [inspection.detector, inspection.provider].filter(Boolean).join(" on ");
  const facts = {
    inference: inference ? `${milliseconds(inference.p50)} / ${milliseconds(inference.p99)} ms` : "–",
    detector: detector || "–",
    "state-since": Number.isFinite(camera.since_s) ? clock(camera.since_s, nowS) : "–",
    frame: count(camera.frames),
    skipped: count(camera.skipped),
    reconnects: count(camera.reconnects),
    restarts: count(inspection.restarts),
    evidence: `${some(camera.evidence_files, "file", "files")}${skippedEvidence}`,
    errors: count(camera.errors),
    source: camera.source ?? "–",
  };
  for (const [name, words] of Object.entries(facts)) {
    tell(field(name, tile), words);
  }
  const notable = [
    isSlow(camera) ? "slow" : "",
    camera.errors > 0 ? some(camera.errors, "error", "errors") : "",
    inspection.restarts > 0 ? some(inspection.restarts, "restart", "restarts") : "",
    camera.evidence_skipped > 0 ? `${count(camera.evidence_skipped)} evidence skipped` : "",
  ].filter(Boolean);
  tell(field("notable", tile), notable.join(", "));
  const inShort = [inference ? `${facts.inference} inference` : "", `${facts.skipped} skipped`].filter(Boolean).join(", ");
  tell(field("in-short", tile), inShort);
}
