// The charts over time of each run: load, latency, replicas.
// Two runs share their scales, so that their charts can be compared by eye.
const most = (pick) =>
  data.charts.length < 2 ? null : Math.max(...data.charts.flatMap(pick).filter((x) => x != null));
document.querySelectorAll("figure.time").forEach((figure) => {
  const chart = data.charts[+figure.dataset.chart],
    sync = "t" + figure.dataset.chart;
  const host = (name) => figure.querySelector('[data-panel="' + name + '"]');
  const lastPanel = host("replicas") ? "replicas" : "latency";
  const load = [
    { label: "offered", color: "load", data: chart.offered, fill: true, step: true },
    { label: "answered", color: "answered", data: chart.answered, step: true },
  ];
  if (chart.failed.some((x) => x > 0)) load.push({ label: "failed", color: "failed", data: chart.failed, step: true });
  panel(host("load"), "Load", chart, load, {
    sync,
    first: true,
    height: 150,
    top: (m) => (most((c) => c.offered) ?? m) * 1.25 || 1,
    tick: (v) => (v ? num(v) + "/s" : "0"),
    value: (x) => num(x) + "/s",
  });

  const drawLatency = (which) => {
    const l = chart.latency[which],
      at = host("latency");
    at.textContent = "";
    for (let i = plots.length - 1; i >= 0; i--)
      if (plots[i][1] === at) {
        plots[i][0].destroy();
        plots.splice(i, 1);
      }
    let extra;
    if (chart.latency.length > 1) {
      extra = el("span", "group");
      extra.setAttribute("role", "group");
      extra.setAttribute("aria-label", "Which latency");
      chart.latency.forEach((o, i) => {
        const b = el("button", "", o.name);
        b.type = "button";
        b.setAttribute("aria-pressed", i === which);
        b.onclick = () => drawLatency(i);
        extra.append(b);
      });
    }
    const series = [
      { label: "p99", color: "p99", data: l.p99, width: 1.25 },
      { label: "p95", color: "p95", data: l.p95, width: 2 },
      { label: "p50", color: "p50", data: l.p50, width: 2 },
    ];
    panel(at, chart.latency.length > 1 ? "Latency" : l.name, chart, series, {
      sync,
      extra,
      last: lastPanel === "latency",
      height: 190 + (lastPanel === "latency" ? 20 : 0),
      top: (m) =>
        Math.max((most((c) => (c.latency.find((o) => o.name === l.name) || l).p99) ?? m) || 0, (l.limit || 0) * 1.25) *
          1.08 || 1,
      tick: seconds,
      value: seconds,
      draw: limitLine(l.limit),
    });
  };
  drawLatency(0);

  if (host("replicas")) {
    const replicas = [];
    if (chart.pods)
      replicas.push({ label: "billed", color: "pods", data: chart.pods, step: true, fill: true, width: 1 });
    if (chart.ready) replicas.push({ label: "ready", color: "ready", data: chart.ready, step: true, width: 2 });
    if (chart.desired)
      replicas.push({ label: "desired", color: "desired", data: chart.desired, step: true, dash: true, width: 1.75 });
    panel(host("replicas"), "Replicas", chart, replicas, {
      sync,
      last: true,
      height: 170,
      top: (m) => Math.ceil(((most((c) => c.pods || c.desired || [0]) ?? m) || 1) * 1.12),
      tick: (v) => (Number.isInteger(v) ? String(v) : ""),
      incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500],
      value: num,
    });
  }
});
