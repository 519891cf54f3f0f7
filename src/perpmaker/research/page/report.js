// Crosshair, readout and zoom for the charts of a report. Without it they are whole pictures already.
// Drag over a chart to zoom all of them, double click or Escape for the whole time.

const WIDTH = 100000;
const HEIGHT = 1000000;
const MARGIN = 0.06;
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800,
  432000, 864000, 2592000];

const charts = [...document.querySelectorAll("figure.chart")].map(read);
const bar = document.querySelector(".window");
let shown = [0, WIDTH];

function read(figure) {
  const paths = [...figure.querySelectorAll("path.line, path.dots")];
  const outputs = [...figure.querySelectorAll(".legend output")];
  const series = paths.map((path, place) => ({
    ...points(path.getAttribute("d"), path.classList.contains("dots")),
    isDots: path.classList.contains("dots"),
    output: outputs[place],
  }));
  const areas = [...figure.querySelectorAll("path.area")].map((path) => points(path.getAttribute("d")));
  const { from, to, low, high, digits, zero } = figure.dataset;
  return {
    figure, series, areas,
    from: Number(from), to: Number(to), low: Number(low), high: Number(high), digits: Number(digits), zero: zero === "1",
    plot: figure.querySelector(".plot"), svg: figure.querySelector("svg"),
    grid: figure.querySelector(".grid"), times: figure.querySelector(".times"),
    cursor: element("div", "cursor"), brush: element("div", "brush"),
  };
}

function points(d, isDots = false) {
  const xs = [], ys = [];
  for (const [, command, x, y] of d.matchAll(/([ML])(\d+) (-?\d+)/g)) {
    if (command === "M" && xs.length && !isDots) { xs.push(Number(x)); ys.push(NaN); }
    xs.push(Number(x));
    ys.push(Number(y));
  }
  return { xs, ys };
}

function element(name, looks) {
  const made = document.createElement(name);
  made.className = looks;
  return made;
}

// How far into a list its values are at most x.
function upTo(xs, x) {
  let low = 0, high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle + 1; else high = middle;
  }
  return low;
}

function valueOf(chart, y) { return chart.low + (1 - y / HEIGHT) * (chart.high - chart.low); }
function placeOf(chart, value) { return (1 - (value - chart.low) / (chart.high - chart.low)) * HEIGHT; }

function written(value, digits) {
  if (!Number.isFinite(value)) return "–";
  const text = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return value < 0 && /[1-9]/.test(text) ? `−${text}` : text;
}

// The window of time that all charts show, with the values each needs for it.
function show(first, last) {
  shown = [first, last];
  const whole = first === 0 && last === WIDTH;
  bar.hidden = whole;
  if (charts.length) bar.querySelector("span").textContent = `${clock(first, true)} – ${clock(last, true)} UTC`;
  for (const chart of charts) {
    const [top, bottom] = whole ? [0, HEIGHT] : heights(chart, first, last);
    chart.svg.setAttribute("viewBox", `${first} ${top} ${last - first} ${bottom - top}`);
    layGrid(chart, top, bottom);
    layTimes(chart);
  }
  rest();
}

function heights(chart, first, last) {
  let top = Infinity, bottom = -Infinity;
  const look = (y) => { if (y < top) top = y; if (y > bottom) bottom = y; };
  for (const { xs, ys, isDots } of chart.series) {
    const before = isDots ? 0 : 1;
    for (let i = Math.max(0, upTo(xs, first) - before); i < xs.length && xs[i] <= last; i++) if (!Number.isNaN(ys[i])) look(ys[i]);
  }
  for (const { xs, ys } of chart.areas) xs.forEach((x, i) => { if (x >= first && x <= last) look(ys[i]); });
  if (chart.zero) look(placeOf(chart, 0));
  if (top === Infinity) return [0, HEIGHT];
  const margin = Math.max((bottom - top) * MARGIN, 1000);
  return [top - margin, bottom + margin];
}

function layGrid(chart, top, bottom) {
  const high = valueOf(chart, top), low = valueOf(chart, bottom);
  const rough = (high - low) / Math.max(2, chart.plot.clientHeight / 44);
  const power = 10 ** Math.floor(Math.log10(rough));
  const steps = [0.2, 0.5, 1, 2, 5, 10].map((times) => times * power);
  const lines = (step) => Math.floor(high / step + 1e-9) - Math.ceil(low / step - 1e-9) + 1;
  let place = steps.findIndex((found) => found >= rough * (1 - 1e-9));
  while (place > 0 && lines(steps[place]) < 2) place--;  // one number alone is no scale
  const step = steps[place];
  const digits = Math.max(0, Math.min(chart.digits + 2, -Math.floor(Math.log10(step) + 1e-9)));
  const labels = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) {
    const label = element("span", n === 0 ? "zero" : "");
    label.style.top = `${((high - n * step) / (high - low)) * 100}%`;
    label.textContent = written(n * step, digits);
    labels.push(label);
  }
  chart.grid.replaceChildren(...labels);
}

function layTimes(chart) {
  const from = millis(shown[0]) / 1000, to = millis(shown[1]) / 1000;
  const most = Math.max(2, chart.plot.clientWidth / 92);
  const step = STEPS_S.find((found) => (to - from) / found <= most) ?? 2592000;
  const labels = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const label = element("span", "");
    label.style.left = `${((at - from) / (to - from)) * 100}%`;
    const date = new Date(at * 1000);
    const isDay = step >= 86400 || at % 86400 === 0;
    label.textContent = isDay
      ? date.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" })
      : date.toISOString().slice(11, step >= 60 ? 16 : 19);
    labels.push(label);
  }
  chart.times.replaceChildren(...labels);
}

function millis(x) { return charts[0].from + (x / WIDTH) * (charts[0].to - charts[0].from); }

function clock(x, short) {
  const text = new Date(millis(x)).toISOString();
  const spansDays = charts[0].to - charts[0].from > 86400000;
  return `${spansDays ? `${text.slice(5, 10)} ` : ""}${text.slice(11, short ? 19 : 23)}`;
}

// What the legends say while no pointer is there: the last value in the window, or how many dots it has.
function rest() {
  for (const chart of charts) {
    chart.cursor.remove();
    for (const one of chart.series) {
      const end = upTo(one.xs, shown[1]);
      one.output.textContent = one.isDots
        ? written(end - upTo(one.xs, shown[0] - 1), 0)
        : written(valueOf(chart, lastKnown(one, end)), chart.digits);
    }
  }
}

function lastKnown({ ys }, end) { return end ? ys[end - 1] : NaN; }

function point(over, part) {
  const x = shown[0] + part * (shown[1] - shown[0]);
  for (const chart of charts) {
    chart.cursor.style.left = `${part * 100}%`;
    chart.cursor.classList.toggle("late", part > 0.6);
    const label = element("b", "");
    label.textContent = clock(x, false);
    chart.cursor.replaceChildren(...(chart === over ? [label] : []));
    chart.plot.append(chart.cursor);
    for (const one of chart.series) {
      if (!one.isDots) one.output.textContent = written(valueOf(chart, lastKnown(one, upTo(one.xs, x))), chart.digits);
    }
  }
}

for (const chart of charts) {
  let began = null;
  const part = (event) => {
    const box = chart.plot.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  chart.plot.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    began = part(event);
    chart.plot.setPointerCapture(event.pointerId);
  });
  chart.plot.addEventListener("pointermove", (event) => {
    const now = part(event);
    point(chart, now);
    if (began === null) return;
    chart.brush.style.left = `${Math.min(began, now) * 100}%`;
    chart.brush.style.width = `${Math.abs(now - began) * 100}%`;
    chart.plot.append(chart.brush);
  });
  chart.plot.addEventListener("pointerup", (event) => {
    if (began === null) return;
    const ends = [began, part(event)].sort((a, b) => a - b).map((at) => Math.round(shown[0] + at * (shown[1] - shown[0])));
    began = null;
    chart.brush.remove();
    if (ends[1] - ends[0] >= Math.max(20, (shown[1] - shown[0]) * 0.01)) show(ends[0], ends[1]);
  });
  chart.plot.addEventListener("pointerleave", () => { if (began === null) rest(); });
  chart.plot.addEventListener("dblclick", () => show(0, WIDTH));
}
bar?.querySelector("button").addEventListener("click", () => show(0, WIDTH));
addEventListener("keydown", (event) => { if (event.key === "Escape") show(0, WIDTH); });
addEventListener("resize", () => show(...shown));
if (bar) show(0, WIDTH);
