// How many files waited over the last two minutes, drawn as SVG; times with a link down are shaded.

const WINDOWS_S = [30, 60, 120]; // the drawing grows with what is known, so that a page just opened is not empty
const LONGEST_S = WINDOWS_S.at(-1);
const WIDTH = 240;
const HEIGHT = 60;
const SVG = "http://www.w3.org/2000/svg";

/**
 * Returns add(atS, waiting, down), which draws into the SVG element and returns {most, outage, windowS}: the most
 * that waited, whether a link was down, and how many seconds back the drawing goes.
 */
export function backlogIn(drawing) {
  const part = (name) => drawing.querySelector(`[data-part=${name}]`);
  let history = [];

  return function add(atS, waiting, down) {
    const last = history.at(-1);
    if (last && (atS < last.atS || atS - last.atS > LONGEST_S)) {
      history = []; // the clock was set, or the page was suspended: old points would mislead
    }
    history.push({ atS, waiting, down });
    // One point before the window stays, so that the line begins at its edge.
    while (history.length > 2 && history[1].atS < atS - LONGEST_S) {
      history.shift();
    }
    const most = Math.max(...history.map((point) => point.waiting));
    const windowS = WINDOWS_S.find((s) => s >= atS - history[0].atS) ?? LONGEST_S;
    draw(atS, most, windowS);
    drawing.setAttribute(
      "aria-label",
      `Files waiting over the last ${windowS} seconds: now ${waiting}, most ${most}`,
    );
    return { most, outage: history.some((point) => point.down), windowS };
  };

  function draw(nowS, most, windowS) {
    const x = (point) => (WIDTH * (1 - (nowS - point.atS) / windowS)).toFixed(1);
    const y = (point) => (HEIGHT - 2 - ((HEIGHT - 6) * point.waiting) / Math.max(most, 4)).toFixed(1);
    const line = history.map((point) => `${x(point)},${y(point)}`).join(" L");
    part("line").setAttribute("d", `M${line}`);
    part("area").setAttribute("d", `M${x(history[0])},${HEIGHT} L${line} L${WIDTH},${HEIGHT} Z`);
    part("outages").replaceChildren(...outages().map((outage) => shade(x(outage.from), x(outage.to))));
  }

  function outages() {
    const found = [];
    let from = null;
    for (const point of history) {
      if (point.down && !from) {
        from = point;
      } else if (!point.down && from) {
        found.push({ from, to: point });
        from = null;
      }
    }
    return from ? [...found, { from, to: history.at(-1) }] : found;
  }

  function shade(left, right) {
    const area = document.createElementNS(SVG, "rect");
    area.setAttribute("x", left);
    area.setAttribute("y", "0");
    area.setAttribute("width", Math.max(0, right - left).toFixed(1));
    area.setAttribute("height", String(HEIGHT));
    return area;
  }
}
