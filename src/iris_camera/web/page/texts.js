// Figures and times as people read them. Nothing here touches the page.

const pad = (number) => String(number).padStart(2, "0");

/** 12345 -> "12,345"; nothing known -> a dash. */
export function count(number) {
  return Number.isFinite(number) ? Math.round(number).toLocaleString("en") : "–";
}

/** 24.96 -> "25.0" */
export function rate(number) {
  return Number.isFinite(number) ? number.toFixed(1) : "–";
}

/** 4.06 -> "4.1", 41.3 -> "41" */
export function milliseconds(number) {
  return Number.isFinite(number) ? number.toFixed(number < 10 ? 1 : 0) : "–";
}

/** Bytes as people read them: 950 -> "950 bytes", 1234567 -> "1.2 MB" */
export function size(bytes) {
  if (!Number.isFinite(bytes)) {
    return "–";
  }
  if (bytes === 1) {
    return "1 byte";
  }
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let left = bytes;
  while (left >= 1000 && unit < units.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return `${unit > 0 && left < 100 ? left.toFixed(1) : Math.round(left)} ${units[unit]}`;
}

/** "1 file", "14 files" */
export function some(number, one, many) {
  return number === 1 ? `1 ${one}` : `${count(number)} ${many}`;
}

/** Unix time in seconds -> "12:03:05" by this machine's clock, with the day in front when it was another day. */
export function clock(unixS, nowS) {
  const then = new Date(unixS * 1000);
  const time = `${pad(then.getHours())}:${pad(then.getMinutes())}:${pad(then.getSeconds())}`;
  if (then.toDateString() === new Date(nowS * 1000).toDateString()) {
    return time;
  }
  return `${then.getFullYear()}-${pad(then.getMonth() + 1)}-${pad(then.getDate())} ${time}`;
}

/** A time span in seconds -> "less than 1 s", "8 s", "3 min 20 s", "2 h 5 min", "4 days" */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 1) {
    return "less than 1 s";
  }
  if (s < 60) {
    return `${s} s`;
  }
  if (s < 3600) {
    return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`;
  }
  if (s < 48 * 3600) {
    return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  }
  return `${Math.floor(s / 86400)} days`;
}
