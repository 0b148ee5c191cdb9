// States from Iris: one WebSocket, reopened automatically; while no state comes, the page reports the silence.
//
// A socket can die without closing (a cable, a sleeping laptop). So what counts is not whether it is open but when
// the last state came. Attempts back off to ten seconds, and start again at once when the page becomes visible.

const SILENCE_MS = 2000;
const GIVE_UP_MS = 6000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 10000;

/**
 * Follow the socket at `url` for as long as the page lives.
 * onState(state) for each state; onSilence({sinceMs, retryInS, reason}) twice a second while none comes
 * (sinceMs is null when none ever came).
 */
export function follow(url, onState, onSilence) {
  const startedMs = Date.now();
  let socket = null;
  let openedMs = 0;
  let newsMs = null;
  let attempts = 0;
  let retryAtMs = 0;
  let reason = "";

  function open() {
    retryAtMs = 0;
    openedMs = Date.now();
    socket = new WebSocket(url);
    socket.onmessage = (message) => {
      const state = JSON.parse(message.data);
      newsMs = Date.now();
      attempts = 0;
      reason = "";
      onState(state);
    };
    socket.onclose = (closed) => {
      reason = closed.reason || reason; // later failed attempts give no reason: the last one still holds
      retryLater();
    };
  }

  function retryLater() {
    socket = null;
    const delayMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempts);
    attempts += 1;
    // Jitter: all pages lost Iris at the same moment, and must not return at the same moment.
    retryAtMs = Date.now() + delayMs * (0.75 + Math.random() / 2);
  }

  function abandon() {
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
    retryLater();
  }

  function watch() {
    const nowMs = Date.now();
    if (socket && nowMs - Math.max(openedMs, newsMs ?? 0) > GIVE_UP_MS) {
      abandon();
    }
    if (!socket && nowMs >= retryAtMs) {
      open();
    }
    if (nowMs - (newsMs ?? startedMs) > SILENCE_MS) {
      const retryInS = socket ? 0 : Math.max(0, Math.ceil((retryAtMs - nowMs) / 1000));
      onSilence({ sinceMs: newsMs, retryInS, reason });
    }
  }

  function lookAgain() {
    if (!socket && !document.hidden) {
      attempts = 0;
      open();
    }
  }

  open();
  setInterval(watch, 500);
  document.addEventListener("visibilitychange", lookAgain);
  window.addEventListener("online", lookAgain);
}
