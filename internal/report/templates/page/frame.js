// The page around the charts: its size, its colours, printing, copying.
const fit = () =>
  plots.forEach(([u, host, height]) => {
    const w = host.clientWidth;
    if (w > 50 && w !== u.width) u.setSize({ width: w, height });
  });
new ResizeObserver(fit).observe(document.querySelector("main"));
const redraw = () => plots.forEach(([u]) => u.redraw(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("beforeprint", () => {
  document.documentElement.classList.add("print");
  document.querySelectorAll("details").forEach((d) => {
    d.open = true;
  });
  redraw();
});
addEventListener("afterprint", () => {
  document.documentElement.classList.remove("print");
  redraw();
});

document.querySelectorAll(".copy").forEach((b) =>
  b.addEventListener("click", async () => {
    const text = b.nextElementSibling.textContent;
    try {
      await navigator.clipboard.writeText(text);
      b.textContent = "Copied";
    } catch {
      const r = document.createRange();
      r.selectNodeContents(b.nextElementSibling);
      const s = getSelection();
      s.removeAllRanges();
      s.addRange(r);
      b.textContent = "Selected";
    }
    setTimeout(() => {
      b.textContent = "Copy";
    }, 2000);
  }),
);
document.documentElement.dataset.drawn = plots.length;
