// Cost and requests within limits of every configuration that was tried.
const front = document.querySelector('[data-panel="front"]');
if (front && data.front.length) {
  const points = data.front.slice().sort((a, b) => a.cost - b.cost);
  const kinds = [
    { label: "misses an objective", color: "load", size: 6, test: (p) => !p.mark && !p.feasible },
    { label: "meets all objectives", color: "answered", size: 7, test: (p) => !p.mark && p.feasible },
    {
      label: "worth a look",
      color: "p95",
      size: 9,
      named: true,
      test: (p) => p.mark && p.mark !== "current" && p.mark !== "recommended",
    },
    { label: "current", color: "now", size: 13, named: true, test: (p) => p.mark === "current" },
    { label: "recommended", color: "pick", size: 13, named: true, test: (p) => p.mark === "recommended" },
  ].filter((k) => points.some(k.test));
  const key = el("div", "key");
  kinds.forEach((k) => {
    const s = el("span", "s"),
      i = el("i", "dot");
    i.style.background = "var(--" + k.color + ")";
    s.append(i, k.label);
    key.append(s);
  });
  const plot = el("div");
  front.append(key, plot);
  const all = points.map((p) => p.attainment).sort((a, b) => a - b);
  // The few that miss by far would press the rest together: they are counted, not drawn.
  const lowest = Math.min(all[Math.floor(all.length / 10)], ...points.filter((p) => p.mark).map((p) => p.attainment)),
    below = all.filter((a) => a < lowest).length;
  if (below) key.append(el("span", "at", below + " more below"));
  const xs = points.map((p) => p.cost),
    tip = document.getElementById("tip");
  const dx = (xs[xs.length - 1] - xs[0]) * 0.06 || xs[0] * 0.1 || 1;
  // The frontier: no configuration is cheaper and better.
  let best = -1;
  const frontier = points.map((p) => (p.attainment > best ? (best = p.attainment) : null));
  const labels = (u) => {
    const { ctx } = u;
    ctx.save();
    ctx.font = "600 " + 12 * devicePixelRatio + "px " + getComputedStyle(document.body).fontFamily;
    ctx.textBaseline = "middle";
    ctx.lineWidth = 4 * devicePixelRatio;
    ctx.lineJoin = "round";
    ctx.strokeStyle = css("card");
    // On a phone only the two that matter are named; the table below names all.
    kinds
      .filter((k) => k.named && (u.width > 500 || k.size > 10))
      .forEach((k) =>
        points.filter(k.test).forEach((p) => {
          const x = u.valToPos(p.cost, "x", true),
            y = u.valToPos(p.attainment, "y", true),
            text = p.mark.replace(/_/g, " "),
            right = x + 14 * devicePixelRatio + ctx.measureText(text).width > u.bbox.left + u.bbox.width;
          ctx.fillStyle = css(k.color);
          ctx.textAlign = right ? "right" : "left";
          const at = [
            text,
            x + (right ? -1 : 1) * 11 * devicePixelRatio,
            y + (k.label === "worth a look" ? 12 : 0) * devicePixelRatio,
          ];
          ctx.strokeText(...at);
          ctx.fillText(...at);
        }),
      );
    ctx.restore();
  };
  const u = new uPlot(
    {
      width: Math.max(front.clientWidth, 100),
      height: 340,
      legend: { show: false },
      padding: [10, 14, 0, 0],
      cursor: { x: false, y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { time: false, range: (u, a, b) => [Math.max(0, a - dx), b + dx] },
        y: { range: () => [Math.max(0, lowest - (1 - lowest) * 0.08), 1 + (1 - lowest) * 0.06 + 1e-4] },
      },
      axes: [
        axis({
          size: 28,
          label: "hourly cost of this load",
          labelSize: 18,
          labelFont: font(),
          values: (u, v, i, space, incr) =>
            v.map((x) => data.money + x.toFixed(Math.min(4, (String(incr).split(".")[1] || "").length))),
        }),
        axis({ size: 58, values: (u, v) => v.map((x) => (x > 1 ? "" : num(x * 100) + " %")) }),
      ],
      series: [
        {},
        { stroke: () => css("line"), width: 2, spanGaps: true, points: { show: false }, paths: stepped },
        ...kinds.map((k) => ({
          stroke: () => css(k.color),
          paths: () => null,
          points: { show: true, size: k.size, fill: () => css(k.color), stroke: () => css("card"), width: 1 },
        })),
      ],
      hooks: {
        draw: [labels],
        setCursor: [
          (u) => {
            const { left, top } = u.cursor;
            let near = null,
              d2 = 24 * 24;
            if (left >= 0)
              points.forEach((p) => {
                const x = u.valToPos(p.cost, "x") - left,
                  y = u.valToPos(p.attainment, "y") - top,
                  d = x * x + y * y;
                if (d < d2 || d === d2) {
                  d2 = d;
                  near = p;
                }
              });
            tip.hidden = !near;
            if (!near) return;
            tip.textContent =
              (near.mark ? near.mark.replace(/_/g, " ") + "\n" : "") +
              near.text +
              "\n" +
              num(near.attainment * 100) +
              " % within limits, " +
              data.money +
              near.cost.toFixed(3) +
              " an hour";
            const box = u.over.getBoundingClientRect(),
              w = tip.offsetWidth;
            tip.style.left =
              Math.min(box.left + u.valToPos(near.cost, "x") + 14, document.documentElement.clientWidth - w - 8) +
              scrollX +
              "px";
            tip.style.top = box.top + u.valToPos(near.attainment, "y") + 14 + scrollY + "px";
          },
        ],
      },
    },
    [xs, frontier, ...kinds.map((k) => points.map((p) => (k.test(p) ? p.attainment : null)))],
    plot,
  );
  u.over.addEventListener("mouseleave", () => {
    tip.hidden = true;
  });
  plots.push([u, front, 340]);
}
