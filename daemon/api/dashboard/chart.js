// Lines over time as SVG, each with a table behind it for those who do not see it. Our own, because dygraphs, which Debian
// packages, writes style attributes, and those the Content-Security-Policy of these pages does not allow.
import { el, svg, update } from "./dom.js";
import { absolute, count } from "./format.js";

const kHeight = 170;
const kLeft = 52;
const kRight = 10;
const kTop = 8;
const kBottom = 22;
const kTableRows = 60;
let made = 0;

// A chart keeps itself: put `node` into every new tree, and give the figures to set().
export class Chart {
  // series: [{label, tone}]; a tone is a class of style.css: good, bad, warn, link. `unit` follows the title.
  constructor(view, title, series, unit = "") {
    Object.assign(this, { title, series, rows: [], width: 0 });
    this.canvas = el("div", {
      class: "canvas", "aria-hidden": "true",
      onpointermove: (event) => this.point(event), onpointerleave: () => this.draw(),
    });
    this.readout = el("span", { class: "readout" });
    this.figures = el("div", {});
    this.details = el("details", { ontoggle: () => this.tell() }, el("summary", {}, "As a table"), this.figures);
    this.node = el("figure", { class: "chart", "data-own": `chart ${++made}` },
      el("figcaption", {}, title, unit ? ` (${unit})` : ""),
      el("div", { class: "legend" }, series.map((one) => el("span", { class: `mark ${one.tone}` }, one.label)), this.readout),
      this.canvas, this.details);
    const resized = new ResizeObserver(([entry]) => {
      this.width = Math.floor(entry.contentRect.width);
      this.draw();
    });
    resized.observe(this.canvas);
    view.signal.addEventListener("abort", () => resized.disconnect());
  }

  // rows: [[Date, number|null, …]], at even distances
  set(rows) {
    this.rows = rows;
    this.draw();
    this.tell();
  }

  // `at`: the index of the row that is pointed at.
  draw(at = null) {
    if (this.rows.length < 2 || this.width < 100) return;
    const top = niceCeiling(Math.max(1, ...this.rows.flatMap(([, ...values]) => values)));
    const x = (index) => kLeft + ((this.width - kLeft - kRight) * index) / (this.rows.length - 1);
    const y = (value) => kTop + (kHeight - kTop - kBottom) * (1 - value / top);
    const lines = [0, top / 2, top].map((value) => [
      svg("line", { class: "grid", x1: kLeft, x2: this.width - kRight, y1: y(value), y2: y(value) }),
      svg("text", { x: kLeft - 6, y: y(value) + 4, "text-anchor": "end" }, short(value))]);
    const last = this.rows.length - 1;
    const times = [[0, "start"], [Math.round(last / 2), "middle"], [last, "end"]].map(([index, anchor]) =>
      svg("text", { x: x(index), y: kHeight - 5, "text-anchor": anchor }, this.timeOf(index)));
    const paths = this.series.map((one, place) => svg("path", { class: `line ${one.tone}`, d: pathOf(this.rows, place + 1, x, y) }));
    const mark = at === null ? null : svg("line", { class: "mark", x1: x(at), x2: x(at), y1: kTop, y2: kHeight - kBottom });
    update(this.canvas, svg("svg", { viewBox: `0 0 ${this.width} ${kHeight}`, width: this.width, height: kHeight }, lines, times, paths, mark));
    const values = (row) => this.series.map((one, place) => `${one.label} ${count(row[place + 1])}`);
    update(this.readout, at === null ? "" : [this.timeOf(at), ...values(this.rows[at])].join("  "));
  }

  // With the day where there is more than one.
  timeOf(index) {
    const day = this.rows.at(-1)[0] - this.rows[0][0] > 86400e3;
    return absolute(this.rows[index][0].toISOString()).slice(day ? 5 : 11, 16);
  }

  point(event) {
    if (this.rows.length < 2) return;
    const share = (event.clientX - this.canvas.getBoundingClientRect().left - kLeft) / (this.width - kLeft - kRight);
    this.draw(Math.min(this.rows.length - 1, Math.max(0, Math.round(share * (this.rows.length - 1)))));
  }

  tell() {
    if (!this.details.open) return;
    update(this.figures, el("table", {}, el("caption", { class: "unseen" }, this.title),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "from"),
        this.series.map((one) => el("th", { scope: "col", class: "number" }, one.label)))),
      el("tbody", {}, this.rows.slice(-kTableRows).reverse().map(([at, ...values]) => el("tr", { "data-key": at.toISOString() },
        el("td", {}, absolute(at.toISOString()).slice(0, 16)), values.map((value) => el("td", { class: "number" }, count(value))))))));
  }
}

// A line that is interrupted where there is nothing; a point that stands alone is a short dash.
function pathOf(rows, place, x, y) {
  let path = "";
  let pen = "M";
  rows.forEach((row, index) => {
    if (row[place] === null) {
      pen = "M";
      return;
    }
    path += `${pen}${x(index).toFixed(1)} ${y(row[place]).toFixed(1)}`;
    if (pen === "M") path += "h.5";
    pen = "L";
  });
  return path;
}

// The next 1, 2, 4, 5 or 10 times a power of ten.
function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 4, 5, 10].find((step) => step * power >= value);
}

function short(value) {
  if (value >= 1e6) return `${value / 1e6}M`;
  return value >= 1e4 ? `${value / 1e3}k` : String(value);
}

// The answers of GET /v1/series, of one step, as rows; the last step, which is not over yet, is left out.
export function rowsOf(answers) {
  const times = answers[0].data.map((point) => point.at);
  return times.slice(0, -1).map((at, index) => [new Date(at), ...answers.map((answer) => answer.data[index]?.value ?? null)]);
}
