"use strict";
// Draws the page's charts with uPlot. Colours are read from the style sheet at
// each drawing, so that light, dark and print need no second set.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const css = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text) e.textContent = text; return e; };
  const plots = [];
  const font = () => "12px " + getComputedStyle(document.body).fontFamily;

  const clock = s => { const m = Math.floor(s / 60), h = Math.floor(m / 60), p = n => String(n).padStart(2, "0"); return h ? h + ":" + p(m % 60) + ":" + p(Math.floor(s % 60)) : m + ":" + p(Math.floor(s % 60)); };
  const num = x => x === 0 ? "0" : Math.abs(x) >= 100 ? x.toFixed(0) : Math.abs(x) >= 10 ? x.toFixed(1).replace(/\.0$/, "") : x.toFixed(2).replace(/\.?0+$/, "");
  const seconds = x => x === 0 ? "0" : x < 0.9995 ? num(x * 1000) + " ms" : num(x) + " s";
  const timeSplits = (u, i, min, max) => { const step = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400].find(s => (max - min) / s <= Math.max(3, u.width / 90)) || 86400; const out = []; for (let t = Math.ceil(min / step) * step; t <= max; t += step) out.push(t); return out; };

  const axis = (more) => Object.assign({ stroke: () => css("soft"), font: font(), grid: { stroke: () => css("line"), width: 1 }, ticks: { show: false }, border: { show: false } }, more);

  // Stages: a band behind every other one; their names over the first panel's grid.
  const stages = chart => u => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip();
    (chart.stages || []).forEach((s, i) => {
      const a = u.valToPos(s.from, "x", true), b = u.valToPos(s.to, "x", true);
      if (i % 2 === 0) { ctx.fillStyle = css("faint"); ctx.fillRect(a, bbox.top, b - a, bbox.height); }
    });
    ctx.restore();
  };
  const stageNames = chart => u => {
    const { ctx, bbox } = u, r = devicePixelRatio;
    ctx.save(); ctx.font = 11 * r + "px " + getComputedStyle(document.body).fontFamily; ctx.textBaseline = "top"; ctx.textAlign = "left"; ctx.lineJoin = "round"; ctx.lineWidth = 4 * r;
    (chart.stages || []).forEach((s, i) => {
      const a = Math.max(u.valToPos(s.from, "x", true), bbox.left), b = Math.min(u.valToPos(s.to, "x", true), bbox.left + bbox.width), text = s.name + (s.warmup && !/warm/.test(s.name) ? " (warm-up)" : "");
      if (b - a < ctx.measureText(text).width + 8 * r) return; // no room for it
      ctx.strokeStyle = css(i % 2 ? "card" : "faint"); ctx.strokeText(text, a + 5 * r, bbox.top + 3 * r);
      ctx.fillStyle = css("soft"); ctx.fillText(text, a + 5 * r, bbox.top + 3 * r);
    });
    ctx.restore();
  };
  const limitLine = value => u => {
    if (value == null) return;
    const { ctx, bbox } = u, y = u.valToPos(value, "y", true);
    if (y < bbox.top || y > bbox.top + bbox.height) return;
    ctx.save(); ctx.strokeStyle = css("limit"); ctx.fillStyle = css("limit"); ctx.lineWidth = 1.5 * devicePixelRatio; ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y); ctx.stroke();
    ctx.font = 11 * devicePixelRatio + "px " + getComputedStyle(document.body).fontFamily; ctx.textAlign = "right"; ctx.textBaseline = "bottom";
    ctx.fillText("limit " + seconds(value), bbox.left + bbox.width - 4, y - 2); ctx.restore();
  };
  const stepped = uPlot.paths.stepped({ align: 1 });

  // panel builds one uPlot with a key above it that shows the values under the cursor.
  function panel(host, title, chart, series, opts) {
    const key = el("div", "key"); key.append(el("b", "", title));
    if (opts.extra) key.append(opts.extra);
    const values = series.map(s => {
      const item = el("span", "s"), mark = el("i", s.dash ? "dash" : ""); mark.style.borderTopColor = "var(--" + s.color + ")";
      const v = el("span"); item.append(mark, s.label, v); key.append(item); return v;
    });
    const when = el("span", "at"); key.append(when);
    const plot = el("div"); host.append(key, plot);
    const u = new uPlot({
      width: Math.max(host.clientWidth, 100), height: opts.height, legend: { show: false }, padding: [4, 10, 0, 0],
      cursor: { sync: { key: opts.sync }, points: { size: 7 }, drag: { x: true, y: false }, y: false },
      scales: { x: { time: false, range: (u, min, max) => [min, max] }, y: { range: (u, min, max) => [0, opts.top(max)] } },
      axes: [axis({ splits: timeSplits, values: (u, v) => opts.last ? v.map(clock) : v.map(() => ""), size: opts.last ? 28 : 8 }), axis({ size: 52, values: (u, v) => v.map(opts.tick), incrs: opts.incrs })],
      series: [{}, ...series.map(s => ({ label: s.label, stroke: () => css(s.color), width: s.width || 1.75, dash: s.dash ? [5, 4] : undefined, paths: s.step ? stepped : undefined, fill: s.fill ? () => css(s.color) + "33" : undefined, points: { show: false }, spanGaps: false }))],
      hooks: {
        drawClear: [stages(chart)], draw: [...(opts.first ? [stageNames(chart)] : []), ...(opts.draw ? [opts.draw] : [])],
        setCursor: [u => { const i = u.cursor.idx; when.textContent = i == null || !opts.first ? "" : clock(chart.t[i]); series.forEach((s, k) => { const x = i == null ? null : u.data[k + 1][i]; values[k].textContent = x == null ? "" : opts.value(x); }); }],
      },
    }, [chart.t, ...series.map(s => s.data)], plot);
    plots.push([u, host, opts.height]);
    return u;
  }

  // Two runs share their scales, so that their charts can be compared by eye.
  const most = pick => data.charts.length < 2 ? null : Math.max(...data.charts.flatMap(pick).filter(x => x != null));
  document.querySelectorAll("figure.time").forEach(figure => {
    const chart = data.charts[+figure.dataset.chart], sync = "t" + figure.dataset.chart;
    const host = name => figure.querySelector('[data-panel="' + name + '"]');
    const lastPanel = host("replicas") ? "replicas" : "latency";
    const load = [
      { label: "offered", color: "load", data: chart.offered, fill: true, step: true },
      { label: "answered", color: "answered", data: chart.answered, step: true },
    ];
    if (chart.failed.some(x => x > 0)) load.push({ label: "failed", color: "failed", data: chart.failed, step: true });
    panel(host("load"), "Load", chart, load, { sync, first: true, height: 150, top: m => (most(c => c.offered) ?? m) * 1.25 || 1, tick: v => v ? num(v) + "/s" : "0", value: x => num(x) + "/s" });

    const drawLatency = which => {
      const l = chart.latency[which], at = host("latency");
      at.textContent = "";
      for (let i = plots.length - 1; i >= 0; i--) if (plots[i][1] === at) { plots[i][0].destroy(); plots.splice(i, 1); }
      let extra;
      if (chart.latency.length > 1) {
        extra = el("span", "group"); extra.setAttribute("role", "group"); extra.setAttribute("aria-label", "Which latency");
        chart.latency.forEach((o, i) => { const b = el("button", "", o.name); b.type = "button"; b.setAttribute("aria-pressed", i === which); b.onclick = () => drawLatency(i); extra.append(b); });
      }
      const series = [{ label: "p99", color: "p99", data: l.p99, width: 1.25 }, { label: "p95", color: "p95", data: l.p95, width: 2 }, { label: "p50", color: "p50", data: l.p50, width: 2 }];
      panel(at, chart.latency.length > 1 ? "Latency" : l.name, chart, series, { sync, extra, last: lastPanel === "latency", height: 190 + (lastPanel === "latency" ? 20 : 0), top: m => Math.max((most(c => (c.latency.find(o => o.name === l.name) || l).p99) ?? m) || 0, (l.limit || 0) * 1.25) * 1.08 || 1, tick: seconds, value: seconds, draw: limitLine(l.limit) });
    };
    drawLatency(0);

    if (host("replicas")) {
      const replicas = [];
      if (chart.pods) replicas.push({ label: "billed", color: "pods", data: chart.pods, step: true, fill: true, width: 1 });
      if (chart.ready) replicas.push({ label: "ready", color: "ready", data: chart.ready, step: true, width: 2 });
      if (chart.desired) replicas.push({ label: "desired", color: "desired", data: chart.desired, step: true, dash: true, width: 1.75 });
      panel(host("replicas"), "Replicas", chart, replicas, { sync, last: true, height: 170, top: m => Math.ceil(((most(c => c.pods || c.desired || [0]) ?? m) || 1) * 1.12), tick: v => Number.isInteger(v) ? String(v) : "", incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500], value: num });
    }
  });

  const front = document.querySelector('[data-panel="front"]');
  if (front && data.front.length) {
    const points = data.front.slice().sort((a, b) => a.cost - b.cost);
    const kinds = [
      { label: "misses an objective", color: "load", size: 6, test: p => !p.mark && !p.feasible },
      { label: "meets all objectives", color: "answered", size: 7, test: p => !p.mark && p.feasible },
      { label: "worth a look", color: "p95", size: 9, named: true, test: p => p.mark && p.mark !== "current" && p.mark !== "recommended" },
      { label: "current", color: "now", size: 13, named: true, test: p => p.mark === "current" },
      { label: "recommended", color: "pick", size: 13, named: true, test: p => p.mark === "recommended" },
    ].filter(k => points.some(k.test));
    const key = el("div", "key");
    kinds.forEach(k => { const s = el("span", "s"), i = el("i", "dot"); i.style.background = "var(--" + k.color + ")"; s.append(i, k.label); key.append(s); });
    const plot = el("div"); front.append(key, plot);
    const all = points.map(p => p.attainment).sort((a, b) => a - b);
    // The few that miss by far would press the rest together: they are counted, not drawn.
    const lowest = Math.min(all[Math.floor(all.length / 10)], ...points.filter(p => p.mark).map(p => p.attainment)), below = all.filter(a => a < lowest).length;
    if (below) key.append(el("span", "at", below + " more below"));
    const xs = points.map(p => p.cost), tip = document.getElementById("tip");
    const dx = (xs[xs.length - 1] - xs[0]) * 0.06 || xs[0] * 0.1 || 1;
    // The frontier: no configuration is cheaper and better.
    let best = -1; const frontier = points.map(p => p.attainment > best ? (best = p.attainment) : null);
    const labels = u => {
      const { ctx } = u; ctx.save(); ctx.font = "600 " + 12 * devicePixelRatio + "px " + getComputedStyle(document.body).fontFamily; ctx.textBaseline = "middle";
      ctx.lineWidth = 4 * devicePixelRatio; ctx.lineJoin = "round"; ctx.strokeStyle = css("card");
      // On a phone only the two that matter are named; the table below names all.
      kinds.filter(k => k.named && (u.width > 500 || k.size > 10)).forEach(k => points.filter(k.test).forEach(p => {
        const x = u.valToPos(p.cost, "x", true), y = u.valToPos(p.attainment, "y", true), text = p.mark.replace(/_/g, " "), right = x + 14 * devicePixelRatio + ctx.measureText(text).width > u.bbox.left + u.bbox.width;
        ctx.fillStyle = css(k.color); ctx.textAlign = right ? "right" : "left";
        const at = [text, x + (right ? -1 : 1) * 11 * devicePixelRatio, y + (k.label === "worth a look" ? 12 : 0) * devicePixelRatio];
        ctx.strokeText(...at); ctx.fillText(...at);
      }));
      ctx.restore();
    };
    const u = new uPlot({
      width: Math.max(front.clientWidth, 100), height: 340, legend: { show: false }, padding: [10, 14, 0, 0],
      cursor: { x: false, y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: (u, a, b) => [Math.max(0, a - dx), b + dx] }, y: { range: () => [Math.max(0, lowest - (1 - lowest) * 0.08), 1 + (1 - lowest) * 0.06 + 1e-4] } },
      axes: [axis({ size: 28, label: "cost of an hour of this load", labelSize: 18, labelFont: font(), values: (u, v, i, space, incr) => v.map(x => data.money + x.toFixed(Math.min(4, (String(incr).split(".")[1] || "").length))) }), axis({ size: 58, values: (u, v) => v.map(x => x > 1 ? "" : num(x * 100) + " %") })],
      series: [{}, { stroke: () => css("line"), width: 2, spanGaps: true, points: { show: false }, paths: stepped },
        ...kinds.map(k => ({ stroke: () => css(k.color), paths: () => null, points: { show: true, size: k.size, fill: () => css(k.color), stroke: () => css("card"), width: 1 } }))],
      hooks: {
        draw: [labels],
        setCursor: [u => {
          const { left, top } = u.cursor; let near = null, d2 = 24 * 24;
          if (left >= 0) points.forEach(p => { const x = u.valToPos(p.cost, "x") - left, y = u.valToPos(p.attainment, "y") - top, d = x * x + y * y; if (d < d2 || d === d2) { d2 = d; near = p; } });
          tip.hidden = !near; if (!near) return;
          tip.textContent = (near.mark ? near.mark.replace(/_/g, " ") + "\n" : "") + near.text + "\n" + num(near.attainment * 100) + " % within limits, " + data.money + near.cost.toFixed(3) + " an hour";
          const box = u.over.getBoundingClientRect(), w = tip.offsetWidth;
          tip.style.left = Math.min(box.left + u.valToPos(near.cost, "x") + 14, document.documentElement.clientWidth - w - 8) + scrollX + "px";
          tip.style.top = box.top + u.valToPos(near.attainment, "y") + 14 + scrollY + "px";
        }],
      },
    }, [xs, frontier, ...kinds.map(k => points.map(p => k.test(p) ? p.attainment : null))], plot);
    u.over.addEventListener("mouseleave", () => { tip.hidden = true; });
    plots.push([u, front, 340]);
  }

  const fit = () => plots.forEach(([u, host, height]) => { const w = host.clientWidth; if (w > 50 && w !== u.width) u.setSize({ width: w, height }); });
  new ResizeObserver(fit).observe(document.querySelector("main"));
  const redraw = () => plots.forEach(([u]) => u.redraw(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => { document.documentElement.classList.add("print"); document.querySelectorAll("details").forEach(d => { d.open = true; }); redraw(); });
  addEventListener("afterprint", () => { document.documentElement.classList.remove("print"); redraw(); });

  document.querySelectorAll(".copy").forEach(b => b.addEventListener("click", async () => {
    const text = b.nextElementSibling.textContent;
    try { await navigator.clipboard.writeText(text); b.textContent = "Copied"; }
    catch { const r = document.createRange(); r.selectNodeContents(b.nextElementSibling); const s = getSelection(); s.removeAllRanges(); s.addRange(r); b.textContent = "Selected"; }
    setTimeout(() => { b.textContent = "Copy"; }, 2000);
  }));
  document.documentElement.dataset.drawn = plots.length;
})();
