"use strict";
(() => {
  // Figures hold colour tokens ("$accent"); the page's custom properties give them their value in the current theme.
  const root = document.documentElement;
  const figures = [...document.querySelectorAll("script.figure")].map((node) => ({
    box: document.getElementById(node.dataset.for), source: JSON.parse(node.textContent),
  }));
  const token = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim() || name;
  const colored = (value) => {
    if (typeof value === "string") return /^\$[a-zA-Z]+$/.test(value) ? token(value.slice(1)) : value;
    if (Array.isArray(value)) return value.length && typeof value[0] === "number" ? value : value.map(colored);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, colored(inner)]));
    }
    return value;
  };
  const axis = (own) => ({
    gridcolor: "$grid", linecolor: "$rule", tickcolor: "$rule", zeroline: false, automargin: true,
    tickfont: { size: 11.5, color: "$muted" }, ...own,
  });
  const layoutOf = (own) => colored({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "x unified", bargap: 0.08,
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: "$ink" },
    margin: { l: 70, r: 14, t: 22, b: 24 }, dragmode: "zoom",
    legend: { orientation: "h", x: 1, xanchor: "right", y: 1, yanchor: "bottom", font: { size: 12, color: "$muted" } },
    hoverlabel: { bgcolor: "$panel", bordercolor: "$rule", font: { color: "$ink", size: 12.5 } },
    ...own, xaxis: axis({ showgrid: false, showline: true, ...own.xaxis }), yaxis: axis({ fixedrange: false, ...own.yaxis }),
  });
  const options = {
    responsive: true, displaylogo: false, displayModeBar: false, doubleClick: "reset",
  };
  const draw = () => figures.map((figure) => {
    const layout = layoutOf(figure.source.layout || {});
    if (figure.log) layout.yaxis = { ...layout.yaxis, type: "log", autorange: true, range: undefined };
    if (figure.box.layout && figure.range) layout.xaxis.range = figure.range;
    return Plotly.react(figure.box, figure.source.data.map(colored), layout, options);
  });

  // Zooming one chart over time zooms all of them.
  let moving = false;
  const timed = figures.filter((figure) => figure.source.layout?.meta?.sync === "time");
  const follow = async (leader, event) => {
    const range = event["xaxis.range[0]"] === undefined
      ? event["xaxis.range"] : [event["xaxis.range[0]"], event["xaxis.range[1]"]];
    if (moving || (!range && !event["xaxis.autorange"])) return;
    moving = true;
    try {
      for (const figure of timed) {
        figure.range = range;
        if (figure !== leader) {
          await Plotly.relayout(figure.box, range ? { "xaxis.range": [...range] } : { "xaxis.autorange": true });
        }
      }
    } finally { moving = false; }
  };

  // A half-width panel without a neighbour takes the whole row.
  const halves = [...document.querySelectorAll(".grid > .panel:not(.wide)")];
  halves.forEach((panel) => {
    const pair = halves.filter((other) => other.parentNode === panel.parentNode);
    if (pair.length % 2 && panel === pair[pair.length - 1]) panel.classList.add("alone");
  });

  if (figures.length) {
    Promise.all(draw()).then(() => {
      timed.forEach((figure) => figure.box.on("plotly_relayout", (event) => follow(figure, event)));
      root.dataset.drawn = "yes";
      new ResizeObserver(() => figures.forEach((figure) => Plotly.Plots.resize(figure.box))).observe(document.body);
    });
  }
  document.querySelectorAll("button.log").forEach((button) => button.addEventListener("click", () => {
    const figure = figures.find((one) => one.box.id === button.dataset.for);
    figure.log = !figure.log;
    button.setAttribute("aria-pressed", String(figure.log));
    draw();
  }));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => root.dataset.theme === "dark" || (root.dataset.theme === "auto" && dark.matches);
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    draw();
  });
  dark.addEventListener("change", () => { if (root.dataset.theme === "auto") draw(); });
  let before = null;
  addEventListener("beforeprint", () => { before = root.dataset.theme; root.dataset.theme = "light"; draw(); });
  addEventListener("afterprint", () => { if (before) { root.dataset.theme = before; before = null; draw(); } });
})();
