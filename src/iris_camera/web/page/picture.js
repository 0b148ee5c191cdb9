// The cameras' pictures. The visible tiles take turns, so that twelve cameras share the rate that one would have, no
// tile starves another, and a hidden page requests nothing.
//
// A tile has one request at a time: its next begins after the last has ended, so that a slow network shows fewer
// pictures and never a queue of old ones. A request that hangs delays only its own tile.

const TURN_MS = 80; // one picture each turn at most, for the whole page
const PAUSE_MS = 160; // between two pictures of one tile
const RETRY_MS = 1000;
const LONGEST_WAIT_MS = 8000;
const AT_ONCE = 4; // a browser holds six connections to one server

const tiles = new Map();
const watching = new IntersectionObserver((changes) => {
  for (const change of changes) {
    const tile = tiles.get(change.target);
    if (tile) {
      tile.visible = change.isIntersecting;
    }
  }
});

/**
 * Keep the newest picture of camera `name` as an <img> in `place` while that is visible.
 * wanted() returns whether there is a newer one to fetch; onPicture(image) is called when one is shown.
 */
export function showPictures(place, name, wanted, onPicture) {
  tiles.set(place, { place, name, wanted, onPicture, visible: false, asking: false, askedMs: 0, nextMs: 0, shown: null });
  watching.observe(place);
}

/** Stop fetching pictures for a removed tile. */
export function hidePictures(place) {
  watching.unobserve(place);
  tiles.delete(place);
}

/** Whether that place is on the screen now. */
export function isVisible(place) {
  return !document.hidden && (tiles.get(place)?.visible ?? false);
}

function turn() {
  const nowMs = performance.now();
  const all = [...tiles.values()];
  if (document.hidden || all.filter((tile) => tile.asking).length >= AT_ONCE) {
    return;
  }
  const due = all.filter((tile) => tile.visible && !tile.asking && tile.nextMs <= nowMs && tile.wanted());
  if (due.length > 0) {
    ask(due.reduce((first, tile) => (tile.askedMs < first.askedMs ? tile : first)), nowMs);
  }
}

function ask(tile, nowMs) {
  const image = new Image();
  const late = setTimeout(() => done(false), LONGEST_WAIT_MS);
  tile.asking = true;
  tile.askedMs = nowMs;

  function done(arrived) {
    if (!tile.asking || image.onload === null) {
      return;
    }
    clearTimeout(late);
    image.onload = null;
    image.onerror = null;
    tile.asking = false;
    tile.nextMs = performance.now() + (arrived ? PAUSE_MS : RETRY_MS);
    if (!arrived) {
      image.removeAttribute("src"); // ends a request that hangs
      return;
    }
    // A new, complete element replaces the old one, so that no half picture is ever visible.
    if (tile.shown) {
      tile.shown.replaceWith(image);
    } else {
      tile.place.prepend(image);
    }
    tile.shown = image;
    tile.onPicture(image);
  }

  image.onload = () => done(true);
  image.onerror = () => done(false);
  image.alt = ""; // onPicture sets the text
  const width = Math.ceil(tile.place.clientWidth * window.devicePixelRatio) || 1;
  image.src = `api/camera/${encodeURIComponent(tile.name)}.jpg?width=${width}&at=${Math.round(nowMs)}`;
}

setInterval(turn, TURN_MS);
