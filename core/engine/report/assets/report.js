"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  // Chart texts are read as a small markup by the charts library: market titles must not be.
  const safe = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const cut = (text, length) => (text.length > length ? text.slice(0, length - 1) + "…" : text);
  // Questions of one series begin alike: keep both ends of a long one.
  const ends = (text, length) => {
    if (text.length <= length) return text;
    const tail = Math.floor(length * 0.55);
    return text.slice(0, length - tail - 1) + "…" + text.slice(-tail);
  };
  const dollars = (x) => (x < 0 ? "-$" : "+$") + Math.abs(x).toFixed(Math.abs(x) < 1 ? 4 : 2);
  const narrow = () => window.innerWidth < 700;

  // The two charts that stand side by side are as tall as the longer one needs.
  const tall = () => Math.max(300, 60 + data.markets.length * 18);

  function layout(extra) {
    const line = css("--line");
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
    const { xaxis = {}, yaxis = {}, ...rest } = extra;
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: css("--ink"), size: 12, family: getComputedStyle(document.body).fontFamily },
      margin: { l: 48, r: 12, t: 8, b: 32 }, hovermode: "closest",
      hoverlabel: { bgcolor: css("--card"), bordercolor: line, font: { color: css("--ink") } },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      ...rest,
      xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis },
    };
  }

  function equity() {
    const e = data.equity;
    const line = css("--line");
    const deepest = -Math.min(...e.drawdown);
    const step = { shape: "hv" };
    return [
      [
        { x: e.t, y: e.equity, name: "equity", line: { color: css("--accent"), width: 2, ...step }, mode: "lines" },
        { x: e.t, y: e.cash, name: "cash", line: { color: css("--second"), width: 1, dash: "dot", ...step }, mode: "lines" },
        {
          x: e.t, y: e.drawdown, name: "drawdown", yaxis: "y2", mode: "lines", fill: "tozeroy",
          fillcolor: css("--fill"), line: { color: css("--loss"), width: 0.7, ...step },
        },
      ],
      layout({
        hovermode: "x unified",
        xaxis: { type: "date", range: data.span, anchor: "y2" },
        yaxis: { domain: [0.34, 1], tickprefix: "$" },
        yaxis2: { domain: [0, 0.26], tickformat: deepest < 0.02 ? ".2%" : deepest < 0.1 ? ".1%" : ".0%", nticks: 4, gridcolor: line, zerolinecolor: line, automargin: true, rangemode: "tozero" },
        shapes: [{
          type: "line", xref: "paper", x0: 0, x1: 1, y0: data.capital, y1: data.capital,
          line: { color: css("--soft"), width: 1, dash: "dash" },
        }],
      }),
    ];
  }

  function pnl() {
    const rows = data.markets.slice().reverse();
    const low = Math.min(0, ...rows.map((m) => m[2]));
    const high = Math.max(0, ...rows.map((m) => m[2]));
    const room = (high - low || 1) * (narrow() ? 0.45 : 0.24); // for the figures beside the bars
    const label = rows.map((m) => safe(ends(m[1] || m[0], narrow() ? 22 : 40)));
    return [
      [{
        type: "bar", orientation: "h", x: rows.map((m) => m[2]), y: rows.map((_, i) => i),
        marker: { color: rows.map((m) => css(m[2] < 0 ? "--loss" : "--gain")) },
        text: rows.map((m) => dollars(m[2])), textposition: "outside", cliponaxis: false, textfont: { size: 11 },
        hovertext: rows.map((m) => `${safe(m[1])}<br>${safe(m[0])}<br>${dollars(m[2])}, ${m[3]} fills${m[4] ? "" : ", unresolved"}`),
        hoverinfo: "text",
      }],
      layout({
        height: tall(),
        xaxis: { tickprefix: "$", range: [low < 0 ? low - room : 0, high > 0 ? high + room : 0] },
        yaxis: { tickvals: rows.map((_, i) => i), ticktext: label, tickfont: { size: 11 } },
        bargap: 0.25,
      }),
    ];
  }

  function daily() {
    const d = data.daily;
    // A bar stands on the day it is about: the value at a midnight belongs to the day before.
    const whole = 86400000;
    const day = d.t.map((t) => Math.floor((t - 1) / whole) * whole + whole / 2);
    const range = [day[0] - whole / 2, day[day.length - 1] + whole / 2];
    const ticks = day.length <= 8 ? { dtick: whole, tickformat: "%b %d" } : {};
    return [
      [{
        type: "bar", x: day, y: d.pnl, width: 0.8 * whole, marker: { color: d.pnl.map((v) => css(v < 0 ? "--loss" : "--gain")) },
        hovertemplate: "%{x|%Y-%m-%d}: $%{y:.4f}<extra></extra>",
      }],
      layout({ height: narrow() ? 280 : tall(), xaxis: { type: "date", range, ...ticks }, yaxis: { tickprefix: "$" } }),
    ];
  }

  function price() {
    const one = data.prices[Number(document.getElementById("instrument").value) || 0];
    const line = (name, y, colour) => ({
      x: one.t, y, name, mode: "lines", line: { color: colour, width: 1.2, shape: "hv" }, connectgaps: false,
    });
    const marks = (name, test, symbol, colour) => {
      const rows = one.fills.filter(test);
      return {
        x: rows.map((f) => f[0]), y: rows.map((f) => f[1]), name, mode: "markers", visible: rows.length ? true : false,
        marker: { symbol, color: colour, size: 9, line: { color: css("--card"), width: 1 } },
        hovertext: rows.map((f) => `${f[2]} ${f[4]} @ ${f[1]} (${f[3]})<br>${safe(f[5])}`), hoverinfo: "x+text",
        customdata: rows.map((f) => titled(f, one.id)),
      };
    };
    const settled = (f) => f[3] === "settlement";
    return [
      [
        line("bid", one.bid, css("--accent")),
        line("ask", one.ask, css("--second")),
        marks("buy", (f) => f[2] === "BUY" && !settled(f), "triangle-up", css("--gain")),
        marks("sell", (f) => f[2] === "SELL" && !settled(f), "triangle-down", css("--loss")),
        marks("settlement", settled, "diamond", css("--ink")),
      ],
      // Around the fills first; a double click shows the whole run.
      layout({ xaxis: { type: "date", range: one.range }, yaxis: { tickprefix: "$" } }),
    ];
  }

  function reliability() {
    const b = data.bins;
    const most = Math.max(...b.map((r) => r[5]));
    return [
      [
        { x: [0, 1], y: [0, 1], mode: "lines", name: "perfect", line: { color: css("--soft"), dash: "dash", width: 1 }, hoverinfo: "skip" },
        {
          x: b.map((r) => r[0]), y: b.map((r) => r[2]), mode: "lines+markers", name: "forecast",
          line: { color: css("--accent"), width: 2 },
          marker: { size: b.map((r) => 7 + 11 * Math.sqrt(r[5] / most)) },
          error_y: {
            type: "data", symmetric: false, array: b.map((r) => r[4] - r[2]), arrayminus: b.map((r) => r[2] - r[3]),
            color: css("--accent"), thickness: 1, width: 3,
          },
          hovertext: b.map((r) => `forecast ${r[0].toFixed(3)}, observed ${r[2].toFixed(3)}<br>${r[5]} forecasts`), hoverinfo: "text",
        },
        {
          x: b.map((r) => r[1]), y: b.map((r) => r[2]), mode: "markers", name: "market price in the same bin",
          marker: { color: css("--second"), symbol: "x", size: 8 }, hoverinfo: "x+y",
        },
      ],
      layout({
        xaxis: { range: [-0.02, 1.02], title: { text: "forecast probability" } },
        yaxis: { range: [-0.05, 1.05], title: { text: "share that happened" } },
      }),
    ];
  }

  function fees() {
    const rows = data.fees.slice(0, 12).reverse();
    return [
      [{
        type: "bar", orientation: "h", x: rows.map((f) => f[1]), y: rows.map((_, i) => i),
        marker: { color: css("--accent") }, hovertext: rows.map((f) => `${safe(f[0])}<br>$${f[1].toFixed(6)} on ${f[3]} fills`),
        hoverinfo: "text",
      }],
      layout({
        height: 50 + rows.length * 26, margin: { l: 12, r: 12, t: 4, b: 28 },
        xaxis: { tickprefix: "$", rangemode: "tozero" },
        yaxis: { tickvals: rows.map((_, i) => i), ticktext: rows.map((f) => safe(cut(f[0], narrow() ? 18 : 30))) },
      }),
    ];
  }

  const figures = { equity, pnl, daily, price, reliability, fees };
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d"] };

  async function draw() {
    for (const [name, make] of Object.entries(figures)) {
      const at = document.getElementById(`figure-${name}`);
      if (!at) continue;
      const [traces, shape] = make();
      await Plotly.react(at, traces, shape, { ...config, displayModeBar: narrow() ? false : "hover" });
    }
    root.dataset.drawn = String(document.querySelectorAll(".figure .main-svg").length > 0);
  }

  function pickInstrument() {
    const select = document.getElementById("instrument");
    if (!select) return;
    data.prices.forEach((one, i) => {
      const option = document.createElement("option");
      option.value = String(i);
      option.textContent = cut(`${one.question ? one.question + " - " : ""}${one.id} (${one.fills.length} fills)`, 90);
      select.append(option);
    });
    select.addEventListener("change", draw);
  }

  function paged(name) {
    const box = document.getElementById(name);
    const { columns, rows } = data[name];
    const size = 50;
    const all = rows.map((_, at) => at);
    let page = 0, shown = all;
    const cell = (tag, text) => {
      const node = document.createElement(tag);
      node.textContent = text;
      return node;
    };
    const line = (tag, values) => {
      const tr = document.createElement("tr");
      tr.append(...values.map((v) => cell(tag, v)));
      return tr;
    };
    // A fill leads to the rows it came from.
    const linked = (tr, at) => {
      if (name !== "fills") return tr;
      const row = rows[at];
      const show = () => openChain(data.seqs[at], `${row[3]} ${row[6]} ${row[2]} @ ${row[5]}`);
      tr.className = "linked";
      tr.tabIndex = 0;
      tr.title = "show what this fill came from";
      tr.addEventListener("click", show);
      tr.addEventListener("keydown", (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault(); // else the same key press closes the dialog that it opened
        show();
      });
      return tr;
    };
    const go = (to) => { page = to; show(); };
    function show() {
      const table = document.createElement("table");
      table.createTHead().append(line("th", columns));
      const body = table.createTBody();
      shown.slice(page * size, (page + 1) * size).forEach((at) => body.append(linked(line("td", rows[at]), at)));
      box.querySelector(".scroll").replaceChildren(table);
      const pages = Math.max(1, Math.ceil(shown.length / size));
      const button = (text, to) => {
        const node = cell("button", text);
        node.type = "button";
        node.disabled = to < 0 || to >= pages;
        node.addEventListener("click", () => go(to));
        return node;
      };
      box.querySelector(".pager").replaceChildren(
        button("earlier", page - 1), button("later", page + 1), `page ${page + 1} of ${pages}, ${shown.length} rows`,
      );
    }
    box.querySelector("input").addEventListener("input", (event) => {
      const wanted = event.target.value.toLowerCase();
      shown = all.filter((at) => rows[at].some((v) => String(v).toLowerCase().includes(wanted)));
      go(0);
    });
    box.addEventListener("toggle", () => box.open && show());
  }

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    draw();
  });
  dark.addEventListener("change", draw);
  let wasNarrow = narrow();
  window.addEventListener("resize", () => {
    if (narrow() !== wasNarrow) { wasNarrow = narrow(); draw(); }
  });

  const titled = (f, id) => [f[6], `${f[2]} ${f[4]} ${id} @ ${f[1]}`];

  // A marker lies on the line of the price it was filled at, and the click may find the line: then the nearest
  // fill counts, if it is within half a percent of the time that is shown.
  function clicked(chart, { points }) {
    const marked = points.find((p) => p.customdata);
    if (marked) return openChain(...marked.customdata);
    const one = data.prices[Number(document.getElementById("instrument").value) || 0];
    const at = one.t[points[0].pointNumber];
    const [from, to] = chart.layout.xaxis.range.map((x) => new Date(typeof x === "string" ? x.replace(" ", "T") + (x.length > 10 ? "Z" : "") : x).getTime());
    const far = (f) => Math.abs(f[0] - at);
    const near = one.fills.reduce((best, f) => (far(f) < far(best) ? f : best));
    if (far(near) <= (to - from) / 200) openChain(...titled(near, one.id));
  }

  pickInstrument();
  ["fills", "orders"].forEach(paged);
  draw().then(() => {
    const chart = document.getElementById("figure-price");
    if (chart) chart.on("plotly_click", (event) => clicked(chart, event));
  });
})();
