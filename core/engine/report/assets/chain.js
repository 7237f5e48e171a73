"use strict";
// The rows behind a fill, from the data to the settlement, in a dialog. Every text is set as text, never as markup.
(() => {
  const { chain } = JSON.parse(document.getElementById("data").textContent);
  const box = document.getElementById("chain");

  // The order of the story: what was seen, thought, judged, sent, done, and what became of it.
  const steps = {
    "data.manifest": [0, "Data set"], "data.snapshot": [1, "Market at that moment"], forecast: [2, "Forecast"],
    proposal: [3, "Proposal"], verdict: [4, "Verdict of the gate"], "order.intent": [5, "Order intent"],
    "order.submitted": [6, "Order sent"], "order.accepted": [6, "Order accepted"], "order.modified": [6, "Order changed"],
    "order.filled": [7, "Fill"], "position.merged": [8, "Merge of YES and NO"], settlement: [9, "Settlement"],
  };
  const rank = (kind) => (steps[kind] || [6])[0];
  const heading = (kind) => (steps[kind] || [6, kind])[1];
  const absent = {
    "data.snapshot": "no market state was recorded with this order",
    forecast: "no forecast recorded: this order was decided without one",
    proposal: "no proposal recorded: this order was decided without one",
  };

  const node = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const shown = (name, value) => {
    // What says nothing is left out: empty texts, switches that are off, a plain multiplier.
    if (value === null || value === "" || value === 0 || (value === false && name !== "approved") || (name === "multiplier" && value === "1") || (Array.isArray(value) && !value.length)) return null;
    // Nanoseconds are beyond what a number holds exactly here: shown to the millisecond, exact in the ledger.
    if (name.endsWith("_ns")) return value ? new Date(Math.round(value / 1e6)).toISOString() : null;
    if (/^-?\d+\.\d{13,}$/.test(value)) return Number(value).toFixed(9); // a quotient: every digit is in the ledger
    if (Array.isArray(value) && value.length > 12) return `${value.length} entries`;
    if (Array.isArray(value)) return value.map((v) => (typeof v === "object" ? JSON.stringify(v) : String(v))).join(", ");
    return typeof value === "object" ? JSON.stringify(value) : String(value);
  };

  function table(columns, rows) {
    const made = node("table");
    const head = made.createTHead().insertRow();
    columns.forEach((c) => head.append(node("th", c)));
    const body = made.createTBody();
    rows.forEach(([cells, tone]) => {
      const line = body.insertRow();
      if (tone) line.className = tone;
      cells.forEach((c) => line.append(node("td", c)));
    });
    const scroll = node("div", undefined, "scroll");
    scroll.append(made);
    return scroll;
  }

  function step(seq, found, closing) {
    const [kind, at, parents, fields, hash] = found;
    const item = node("li");
    item.dataset.kind = kind;
    const title = node("h3", closing ? `${heading(kind)}, closing the position` : heading(kind));
    title.append(node("small", `${at}, row ${seq}${parents.length ? " from " + parents.join(", ") : ""}, hash ${hash}`));
    item.append(title);
    const list = node("dl");
    for (const [name, value] of Object.entries(fields)) {
      if (name === "checks") continue;
      const text = shown(name, value);
      if (text === null) continue;
      list.append(node("dt", name.replace(/_ns$/, "").replaceAll("_", " ")), node("dd", text));
    }
    item.append(list);
    if (fields.checks && fields.checks.length) {
      item.append(table(["check", "value", "limit", "held"],
        fields.checks.map((c) => [[c.name, c.value, c.limit, c.passed ? "yes" : "NO"], c.passed ? "" : "loss"])));
    }
    return item;
  }

  function ancestors(seq) {
    const seen = new Set();
    const todo = [seq];
    while (todo.length) {
      const at = todo.pop();
      if (seen.has(at) || !chain.rows[at]) continue;
      seen.add(at);
      todo.push(...chain.rows[at][2]);
    }
    return [...seen];
  }

  function story(seq) {
    const own = chain.rows[seq];
    const back = ancestors(seq).sort((a, b) => rank(chain.rows[a][0]) - rank(chain.rows[b][0]) || a - b);
    const list = node("ol");
    const there = new Set(back.map((s) => chain.rows[s][0]));
    const missing = own[0] === "order.filled" ? Object.keys(absent).filter((k) => !there.has(k)) : [];
    const missed = (before) => {
      while (missing.length && rank(missing[0]) < before) list.append(node("li", absent[missing.shift()], "absent"));
    };
    for (const at of back) {
      missed(rank(chain.rows[at][0]));
      list.append(step(at, chain.rows[at]));
    }
    const ends = chain.ends[seq] || [];
    ends.forEach((at) => chain.rows[at] && list.append(step(at, chain.rows[at], true)));
    if (own[0] === "order.filled" && own[3].side === "BUY" && !ends.length) {
      list.append(node("li", "nothing closed this position in the run: it was open at the end", "absent"));
    }
    return list;
  }

  const command = (seq) => {
    const line = node("p", "In the ledger: ", "note");
    line.append(node("code", chain.command.replace("SEQ", String(seq))));
    return line;
  };

  function open(seq, title) {
    const close = node("button", "close");
    close.type = "button";
    close.addEventListener("click", () => box.close());
    const head = node("div", undefined, "head");
    head.append(node("h2", title), close);
    const parts = [head];
    if (!chain.command) {
      parts.push(node("p", "No chain: the run kept no ledger (--ledger off). Run it with one to see what this fill came from."));
    } else if (chain.rows[seq]) {
      parts.push(story(seq), command(seq));
    } else {
      parts.push(node("p", "The rows of this fill are not in the page, only those of the newest fills."), command(seq));
    }
    box.replaceChildren(...parts);
    if (!box.open) box.showModal();
    box.scrollTop = 0;
  }
  box.addEventListener("click", (event) => event.target === box && box.close());
  globalThis.openChain = open;
})();
