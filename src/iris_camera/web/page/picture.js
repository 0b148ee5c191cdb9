// The camera's picture, a few times a second. One request at a time: the next begins after the last has ended, so
// that a slow network shows fewer pictures and never a queue of old ones.

const PAUSE_MS = 150;
const RETRY_MS = 1000;
const LONGEST_WAIT_MS = 8000;

/**
 * Keep the newest picture of camera `name` as an <img> in `place`.
 * wanted() says whether there is a newer one to fetch; onPicture() is called when one is shown.
 */
export function showPictures(place, name, wanted, onPicture) {
  let shown = null;
  let number = 0;

  function next() {
    if (document.hidden || !wanted()) {
      setTimeout(next, PAUSE_MS);
      return;
    }
    const image = new Image();
    image.alt = `Latest picture of camera ${name}, with a box around each part`;
    const late = setTimeout(() => done(false), LONGEST_WAIT_MS);
    let ended = false;

    function done(arrived) {
      if (ended) {
        return;
      }
      ended = true;
      clearTimeout(late);
      image.onload = null;
      image.onerror = null;
      if (arrived) {
        // A whole new element takes the old one's place, so that no half picture is ever seen.
        if (shown) {
          shown.replaceWith(image);
        } else {
          place.prepend(image);
        }
        shown = image;
        onPicture();
      } else {
        image.removeAttribute("src"); // ends a request that hangs
      }
      setTimeout(next, arrived ? PAUSE_MS : RETRY_MS);
    }

    image.onload = () => done(true);
    image.onerror = () => done(false);
    number += 1;
    image.src = `api/camera/${encodeURIComponent(name)}.jpg?${number}`;
  }

  next();
}
