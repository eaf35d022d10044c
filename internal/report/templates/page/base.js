// What all charts share: colours, which are read from the style sheet at each
// drawing so that light, dark and print need no second set, numbers, axes, and a
// panel with its key.
const data = JSON.parse(document.getElementById("data").textContent);
const css = (name) =>
  getComputedStyle(document.documentElement)
    .getPropertyValue("--" + name)
    .trim();
const el = (tag, cls, text) => {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (text) e.textContent = text;
  return e;
};
const plots = [];
const font = () => "12px " + getComputedStyle(document.body).fontFamily;

const clock = (s) => {
  const m = Math.floor(s / 60),
    h = Math.floor(m / 60),
    p = (n) => String(n).padStart(2, "0");
  return h ? h + ":" + p(m % 60) + ":" + p(Math.floor(s % 60)) : m + ":" + p(Math.floor(s % 60));
};
const num = (x) =>
  x === 0
    ? "0"
    : Math.abs(x) >= 100
      ? x.toFixed(0)
      : Math.abs(x) >= 10
        ? x.toFixed(1).replace(/\.0$/, "")
        : x.toFixed(2).replace(/\.?0+$/, "");
const seconds = (x) => (x === 0 ? "0" : x < 0.9995 ? num(x * 1000) + " ms" : num(x) + " s");
const timeSplits = (u, i, min, max) => {
  const step =
    [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400].find(
      (s) => (max - min) / s <= Math.max(3, u.width / 90),
    ) || 86400;
  const out = [];
  for (let t = Math.ceil(min / step) * step; t <= max; t += step) out.push(t);
  return out;
};

const axis = (more) =>
  Object.assign(
    {
      stroke: () => css("soft"),
      font: font(),
      grid: { stroke: () => css("line"), width: 1 },
      ticks: { show: false },
      border: { show: false },
    },
    more,
  );

// Stages: a band behind every other one; their names over the first panel's grid.
const stages = (chart) => (u) => {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  (chart.stages || []).forEach((s, i) => {
    const a = u.valToPos(s.from, "x", true),
      b = u.valToPos(s.to, "x", true);
    if (i % 2 === 0) {
      ctx.fillStyle = css("faint");
      ctx.fillRect(a, bbox.top, b - a, bbox.height);
    }
  });
  ctx.restore();
};
const stageNames = (chart) => (u) => {
  const { ctx, bbox } = u,
    r = devicePixelRatio;
  ctx.save();
  ctx.font = 11 * r + "px " + getComputedStyle(document.body).fontFamily;
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  ctx.lineJoin = "round";
  ctx.lineWidth = 4 * r;
  (chart.stages || []).forEach((s, i) => {
    const a = Math.max(u.valToPos(s.from, "x", true), bbox.left),
      b = Math.min(u.valToPos(s.to, "x", true), bbox.left + bbox.width),
      text = s.name + (s.warmup && !/warm/.test(s.name) ? " (warm-up)" : "");
    if (b - a < ctx.measureText(text).width + 8 * r) return; // no room for it
    ctx.strokeStyle = css(i % 2 ? "card" : "faint");
    ctx.strokeText(text, a + 5 * r, bbox.top + 3 * r);
    ctx.fillStyle = css("soft");
    ctx.fillText(text, a + 5 * r, bbox.top + 3 * r);
  });
  ctx.restore();
};
const limitLine = (value) => (u) => {
  if (value == null) return;
  const { ctx, bbox } = u,
    y = u.valToPos(value, "y", true);
  if (y < bbox.top || y > bbox.top + bbox.height) return;
  ctx.save();
  ctx.strokeStyle = css("limit");
  ctx.fillStyle = css("limit");
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = 11 * devicePixelRatio + "px " + getComputedStyle(document.body).fontFamily;
  ctx.textAlign = "right";
  ctx.textBaseline = "bottom";
  ctx.fillText("limit " + seconds(value), bbox.left + bbox.width - 4, y - 2);
  ctx.restore();
};
const stepped = uPlot.paths.stepped({ align: 1 });

// panel builds one uPlot with a key above it that shows the values under the cursor.
function panel(host, title, chart, series, opts) {
  const key = el("div", "key");
  key.append(el("b", "", title));
  if (opts.extra) key.append(opts.extra);
  const values = series.map((s) => {
    const item = el("span", "s"),
      mark = el("i", s.dash ? "dash" : "");
    mark.style.borderTopColor = "var(--" + s.color + ")";
    const v = el("span");
    item.append(mark, s.label, v);
    key.append(item);
    return v;
  });
  const when = el("span", "at");
  key.append(when);
  const plot = el("div");
  host.append(key, plot);
  const u = new uPlot(
    {
      width: Math.max(host.clientWidth, 100),
      height: opts.height,
      legend: { show: false },
      padding: [4, 10, 0, 0],
      cursor: { sync: { key: opts.sync }, points: { size: 7 }, drag: { x: true, y: false }, y: false },
      scales: {
        x: { time: false, range: (u, min, max) => [min, max] },
        y: { range: (u, min, max) => [0, opts.top(max)] },
      },
      axes: [
        axis({
          splits: timeSplits,
          values: (u, v) => (opts.last ? v.map(clock) : v.map(() => "")),
          size: opts.last ? 28 : 8,
        }),
        axis({ size: 52, values: (u, v) => v.map(opts.tick), incrs: opts.incrs }),
      ],
      series: [
        {},
        ...series.map((s) => ({
          label: s.label,
          stroke: () => css(s.color),
          width: s.width || 1.75,
          dash: s.dash ? [5, 4] : undefined,
          paths: s.step ? stepped : undefined,
          fill: s.fill ? () => css(s.color) + "33" : undefined,
          points: { show: false },
          spanGaps: false,
        })),
      ],
      hooks: {
        drawClear: [stages(chart)],
        draw: [...(opts.first ? [stageNames(chart)] : []), ...(opts.draw ? [opts.draw] : [])],
        setCursor: [
          (u) => {
            const i = u.cursor.idx;
            when.textContent = i == null || !opts.first ? "" : clock(chart.t[i]);
            series.forEach((s, k) => {
              const x = i == null ? null : u.data[k + 1][i];
              values[k].textContent = x == null ? "" : opts.value(x);
            });
          },
        ],
      },
    },
    [chart.t, ...series.map((s) => s.data)],
    plot,
  );
  plots.push([u, host, opts.height]);
  return u;
}
