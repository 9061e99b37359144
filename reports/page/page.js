"use strict";
/* Sorts and filters, draws the map of tasks, and shows an attempt. All that models and candidates wrote becomes text of
   nodes, never markup. */
(() => {
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  };
  const find = (id) => document.getElementById(id);
  const block = find("data");
  const data = block ? JSON.parse(block.textContent) : null;
  const state = () => new URLSearchParams(location.hash.slice(1));

  // --- tables that sort ------------------------------------------------------------------------------------------

  const orderOf = (row, column) => {
    const cell = row.cells[column];
    const told = cell.dataset.order ?? cell.textContent.trim();
    const value = Number(told);
    return told === "" || told === "nan" || told === "None" || told === "-" ? null : Number.isNaN(value) ? told.toLowerCase() : value;
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const sortTable = (table, head) => {
    const column = head.cellIndex;
    const text = head.classList.contains("text");
    const before = head.getAttribute("aria-sort");
    const rising = before ? before === "descending" : text;
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map((row) => [orderOf(row, column), row]);
    rows.sort(([a], [b]) => (a === null ? (b === null ? 0 : 1) : b === null ? -1 : rising ? compare(a, b) : compare(b, a)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const head of table.tHead.rows[0].cells) {
      head.querySelector("button")?.addEventListener("click", () => sortTable(table, head));
    }
  }

  // --- statistics of what is filtered: as reports.statistics has them -----------------------------------------------

  const Z = 1.959963984540054;
  const wilson = (successes, trials) => {
    if (trials <= 0) return [NaN, NaN];
    const middle = successes + (Z * Z) / 2;
    const half = Z * Math.sqrt(Math.max((successes * (trials - successes)) / trials, 0) + (Z * Z) / 4);
    const low = successes <= 0 ? 0 : Math.max((middle - half) / (trials + Z * Z), 0);
    return [low, successes >= trials ? 1 : Math.min((middle + half) / (trials + Z * Z), 1)];
  };
  const byTask = (attempts, passed) => {
    const counts = new Map();
    for (const attempt of attempts) {
      const [tried, right] = counts.get(attempt[0]) ?? [0, 0];
      counts.set(attempt[0], [tried + 1, right + (passed(attempt) ? 1 : 0)]);
    }
    const n = attempts.length;
    const tasks = counts.size;
    const p = [...counts.values()].reduce((sum, [, right]) => sum + right, 0) / n;
    let effect = Infinity;
    if (p > 0 && p < 1 && tasks > 1) {
      const squares = [...counts.values()].reduce((sum, [tried, right]) => sum + (right - p * tried) ** 2, 0);
      effect = ((tasks / (tasks - 1)) * squares) / (p * (1 - p) * n);
    }
    const effective = n / Math.min(Math.max(effect, 1), n / tasks);
    return [p, ...wilson(p * effective, effective)];
  };
  const interval = ([, low, high]) => `[${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
  const geometric = (values) => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
  const ratio = (value, decimals = 2) => (value === null ? "-" : value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(decimals));

  // --- filters -------------------------------------------------------------------------------------------------------

  const [TASK, ROW, SAMPLE, STAGE, SPEED, CALL, PAGE] = [0, 1, 2, 3, 4, 5, 6];
  const filters = ["search", "suite", "category", "level", "device"];
  const RIGHT = new Set(["right", "untimed"]);
  const stageName = (attempt) => data.stages[attempt[STAGE]][0];
  const chosen = () => {
    const wanted = Object.fromEntries(filters.map((name) => [name, find(name).value.trim().toLowerCase()]));
    const tasks = new Set();
    data.tasks.forEach(([suite, name, level, category], number) => {
      const text = `${suite} ${name} ${category ?? ""}`.toLowerCase();
      if (wanted.suite && suite.toLowerCase() !== wanted.suite) return;
      if (wanted.category && String(category ?? "").toLowerCase() !== wanted.category) return;
      if (wanted.level && String(level) !== wanted.level) return;
      if (wanted.search && !wanted.search.split(/\s+/).every((word) => text.includes(word))) return;
      tasks.add(number);
    });
    const rows = new Set(data.rows.flatMap((row, number) => (!wanted.device || row.device.toLowerCase() === wanted.device ? [number] : [])));
    return { tasks, rows, all: filters.every((name) => !wanted[name]) };
  };

  const originals = new Map();
  const fillBoard = ({ tasks, rows, all }) => {
    const perRow = new Map();
    for (const attempt of data.attempts) {
      if (tasks.has(attempt[TASK])) (perRow.get(attempt[ROW]) ?? perRow.set(attempt[ROW], []).get(attempt[ROW])).push(attempt);
    }
    for (const line of document.querySelectorAll("table.board tbody tr")) {
      const number = Number(line.dataset.row);
      const attempts = perRow.get(number) ?? [];
      line.hidden = !rows.has(number) || !attempts.length;
      for (const cell of line.querySelectorAll("td[data-cell]")) {
        if (!originals.has(cell)) originals.set(cell, [[...cell.childNodes], cell.dataset.order]);
        const [nodes, order] = originals.get(cell);
        cell.replaceChildren(...nodes);
        cell.dataset.order = order;
      }
      if (all || line.hidden) continue;
      const set = (place, text, order, bounds = "") => {
        const cell = line.querySelector(`td[data-cell="${place}"]`);
        cell.replaceChildren(...[text, bounds && make("small", { class: "bounds" }, bounds)].filter((child) => child !== ""));
        cell.dataset.order = order;
      };
      const share = (place, passed, bounded) => {
        const found = byTask(attempts, passed);
        set(place, (100 * found[0]).toFixed(1), found[0], bounded ? interval(found) : "");
      };
      const judged = attempts.filter((attempt) => stageName(attempt) !== "owed").length;
      set(0, `${judged}/${attempts.length}`, attempts.length);
      share(1, (attempt) => attempt[CALL], true);
      share(2, (attempt) => RIGHT.has(stageName(attempt)), true);
      [1, 1.5, 2].forEach((p, place) => share(3 + place, (attempt) => attempt[SPEED] !== null && attempt[SPEED] > p, false));
      const speeds = attempts.flatMap((attempt) => (attempt[SPEED] === null ? [] : [attempt[SPEED]]));
      set(6, speeds.length ? ratio(geometric(speeds)) : "-", speeds.length ? geometric(speeds) : "nan");
      for (const place of [7, 8, 9, 10]) set(place, "", "nan");
    }
    for (const group of document.querySelectorAll(".group")) {
      group.hidden = ![...group.querySelectorAll("table.board tbody tr")].some((line) => !line.hidden);
    }
  };

  // --- the map of tasks ------------------------------------------------------------------------------------------------

  const GLYPHS = { untimed: "✓?", execution: "≠", call: "✗", cheating: "⚑", unsupported: "–", owed: "…" };
  const colour = (speed) => {
    const step = Math.max(-1, Math.min(1, Math.log2(speed) / 1.5));
    const [hue, weight] = step < 0 ? [28, -step] : [205, step];
    return `hsl(${hue} ${Math.round(12 + 68 * weight)}% ${Math.round(90 - 26 * weight)}%)`;
  };
  const linkTo = (number) => (data.attempts[number][PAGE] ? `samples/${String(data.attempts[number][PAGE]).padStart(4, "0")}.html` : "") + `#sample=${number}`;
  const cellOf = (numbers, task, row) => {
    const attempts = numbers.map((number) => data.attempts[number]);
    const right = attempts.filter((attempt) => RIGHT.has(stageName(attempt)));
    const speeds = attempts.flatMap((attempt) => (attempt[SPEED] === null ? [] : [attempt[SPEED]]));
    const words = (number) => data.stages[data.attempts[number][STAGE]][1];
    const label = `${data.tasks[task][1]}, ${data.rows[row].name}: `;
    const best = numbers.reduce((a, b) => ((data.attempts[b][SPEED] ?? 0) > (data.attempts[a][SPEED] ?? 0) ? b : a));
    const shares = attempts.length > 1 ? ` ${right.length}/${attempts.length}` : "";
    if (speeds.length) {
      const speed = geometric(speeds);
      const link = make("a", { href: linkTo(best), title: `${label}${ratio(speed)} times as fast${shares ? `, right${shares}` : ""}` }, `${ratio(speed)}${shares}`);
      link.style.backgroundColor = colour(speed);
      return make("td", {}, link);
    }
    const shown = right.length ? numbers[attempts.indexOf(right[0])] : numbers[0];
    const stage = stageName(data.attempts[shown]);
    const glyph = make("span", { class: `glyph glyph-${stage}`, "aria-hidden": "true" }, GLYPHS[stage] ?? "✓");
    return make("td", {}, make("a", { class: "failed", href: linkTo(shown), title: label + words(shown), "aria-label": label + words(shown) }, glyph, shares));
  };
  const cells = new Map();
  if (data) data.attempts.forEach((attempt, number) => {
    const key = attempt[TASK] * 65536 + attempt[ROW];
    (cells.get(key) ?? cells.set(key, []).get(key)).push(number);
  });
  const MOST_CELLS = 30000;
  const drawMap = ({ tasks, rows }) => {
    const shown = [...rows].filter((row) => [...tasks].some((task) => cells.has(task * 65536 + row)));
    const by = find("by").value;
    const order = find("order").value;
    const group = (task) => ({ category: data.tasks[task][3] ?? "no category", level: `level ${data.tasks[task][2] ?? "unknown"}`, suite: data.tasks[task][0] })[by] ?? "";
    const measure = (task) => {
      const found = shown.flatMap((row) => (cells.get(task * 65536 + row) ?? []).map((number) => data.attempts[number]));
      if (order === "right") return -found.filter((attempt) => RIGHT.has(stageName(attempt))).length / (found.length || 1);
      if (order === "level") return data.tasks[task][2] ?? 99;
      const speeds = found.flatMap((attempt) => (attempt[SPEED] === null ? [] : [attempt[SPEED]]));
      return order === "speed" ? (speeds.length ? -geometric(speeds) : 0) : 0;
    };
    const sorted = [...tasks].map((task) => [group(task), measure(task), task]);
    sorted.sort((a, b) => a[0].localeCompare(b[0]) || a[1] - b[1] || data.tasks[a[2]][1].localeCompare(data.tasks[b[2]][1]));
    const head = make("tr", {}, make("th", { scope: "col" }, "task"), ...shown.map((row) => make("th", { scope: "col" }, data.rows[row].name)));
    const body = make("tbody");
    let before = null;
    let left = MOST_CELLS;
    for (const [name, , task] of sorted) {
      if ((left -= shown.length) < 0) break;
      if (name !== before && name) body.append(make("tr", {}, make("th", { class: "group", scope: "rowgroup", colspan: shown.length + 1 }, name)));
      before = name;
      const title = make("th", { class: "task", scope: "row", title: data.tasks[task][1] }, data.tasks[task][1]);
      body.append(make("tr", {}, title, ...shown.map((row) => (cells.has(task * 65536 + row) ? cellOf(cells.get(task * 65536 + row), task, row) : make("td")))));
    }
    const table = make("table", {}, make("thead", {}, head), body);
    const cut = left < 0 ? [make("p", { class: "legend" }, `Only the first ${MOST_CELLS} cells are drawn: filter to see the others.`)] : [];
    find("map").replaceChildren(table, ...cut);
  };

  const refresh = () => {
    const now = chosen();
    fillBoard(now);
    drawMap(now);
    find("chosen").textContent = now.all ? "" : `${now.tasks.size} of ${data.tasks.length} tasks: shares and speedups of these, without what is not counted by task`;
  };
  if (data) {
    const options = (id, values) => find(id).append(...[...new Set(values)].filter((value) => value !== null).sort((a, b) => compare(a, b)).map((value) => make("option", { value: String(value) }, String(value))));
    options("suite", data.tasks.map((task) => task[0]));
    options("category", data.tasks.map((task) => task[3]));
    options("level", data.tasks.map((task) => task[2]));
    options("device", data.rows.map((row) => row.device));
    find("glyphs").replaceChildren(
      "Cells are the speedup over the reference, blue where faster, orange where slower. ",
      ...data.stages.filter(([name]) => GLYPHS[name]).flatMap(([name, words]) => [make("span", { class: `glyph glyph-${name}` }, GLYPHS[name]), ` ${words}  `]),
      "Choose a cell to see the attempt.",
    );
    let waiting = 0;
    for (const name of [...filters, "by", "order"]) {
      find(name).addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(refresh, name === "search" ? 120 : 0);
      });
    }
    find("clear").addEventListener("click", () => {
      for (const name of filters) find(name).value = "";
      refresh();
    });
    refresh();
  }

  // --- one attempt -----------------------------------------------------------------------------------------------------

  const WORDS = new Set("and as assert async await break class continue def del elif else except False finally for from global if import in is lambda None nonlocal not or pass raise return True try while with yield".split(" "));
  const TOKEN = /(#[^\n]*)|("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)|(\b\d(?:[\w.]|(?<=\d[eE])[+-])*)|([A-Za-z_]\w*)/g;
  const highlighted = (source) => {
    const code = make("code");
    let at = 0;
    for (const token of source.matchAll(TOKEN)) {
      const kind = token[1] ? "comment" : token[2] ? "string" : token[3] ? "digit" : WORDS.has(token[4]) ? "word" : null;
      if (!kind) continue;
      code.append(source.slice(at, token.index), make("span", { class: kind }, token[0]));
      at = token.index + token[0].length;
    }
    code.append(source.slice(at));
    return make("pre", { tabindex: "0" }, code);
  };
  const difference = (text) =>
    make("pre", { tabindex: "0" }, ...text.split("\n").map((line) =>
      make("span", { class: line.startsWith("@@") ? "hunk" : line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "plain" }, line || " ")));
  const prose = (text) => make("pre", { class: "prose", tabindex: "0" }, text);
  const folded = (title, open, ...children) => make("details", { open }, make("summary", {}, title), ...children);
  const digits = (value, count = 3) => (value === null || value === undefined ? "-" : Math.abs(value) >= 1000 ? value.toFixed(0) : Number(value.toPrecision(count)).toString());
  const bounded = (timing) => (timing.speedup === null ? "-" : `${ratio(timing.speedup, 3)} [${ratio(timing.low, 3)}, ${ratio(timing.high, 3)}]`);
  const share = (value) => (value === null ? "-" : `${digits(100 * value)} %`);

  const timesTable = (timings) => {
    const heads = ["workload", "speedup", "candidate µs", "reference µs", "of the limit", "reference's", "kernels"];
    const row = (timing) => make("tr", {},
      make("th", { scope: "row", class: "text" }, timing.workload),
      ...[bounded(timing), digits(timing.candidate_us, 4), digits(timing.reference_us, 4), share(timing.fraction), share(timing.reference_fraction)].map((text) => make("td", {}, text)),
      make("td", { class: "text" }, timing.kernels.join(", ")));
    return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Times" },
      make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), make("tbody", {}, ...timings.map(row))));
  };
  const facts = (sample) => {
    const spent = sample.spent;
    const pairs = [
      ["suite", `${sample.suite}${sample.level === null ? "" : `, level ${sample.level}`}${sample.category ? `, ${sample.category}` : ""}`],
      ["solver", sample.model ? `${sample.solver}, ${sample.model}` : sample.solver],
      ["sample", sample.sample],
      ["device", `${sample.device ?? "unknown"}, isolation ${sample.isolation ?? "unknown"}`],
      ["handed in", sample.origin], ["ended early", sample.stopped], ["same as", sample.same_as], ["helped", sample.helps.join("; ")],
      ["spent", ["evaluations", "calls", "prompt_tokens", "completion_tokens", "dollars", "seconds"].filter((name) => name in spent).map((name) => `${name.replace("_", " ")} ${digits(spent[name], 4)}`).join(", ")],
      ["run", sample.run], ["attempt", sample.id],
    ];
    return make("dl", {}, ...pairs.filter(([, text]) => text !== "" && text !== null).flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, String(text))]));
  };
  const verdictOf = (sample) => {
    const verdict = sample.verdict;
    if (!verdict) return make("div", { class: "verdict" }, make("b", {}, "owed"), ` ${sample.error}`);
    const box = make("div", { class: `verdict ${verdict.outcome === "right" ? "good" : "bad"}` }, make("b", {}, String(verdict.outcome)), ` ${verdict.reason ?? ""}`);
    box.append(...verdict.warnings.map((warning) => make("p", {}, `⚑ ${warning}`)));
    box.append(...verdict.notes.map((note) => make("p", {}, `Note: ${note}`)));
    if (verdict.cases) box.append(make("p", {}, `cases passed: ${verdict.cases_passed} of ${verdict.cases}`));
    return box;
  };
  const versionOf = (version) => {
    const speed = version.speedup === null ? "" : `, ${digits(version.speedup, 4)} times as fast`;
    return folded(`version ${version.number}, turn ${version.turn}: ${version.right ? "right" : "not right"}${speed}`, false,
      prose(version.reason), version.difference ? folded("what changed", true, difference(version.difference)) : null, folded("source", !version.difference, highlighted(version.source)));
  };
  const sibling = (number, step) => {
    const node = find(`s${number + step}`);
    return node ? make("a", { href: `#sample=${number + step}` }, step < 0 ? "previous attempt" : "next attempt") : null;
  };
  const showSample = (number) => {
    const node = find(`s${number}`);
    const article = find("sample");
    if (!node) {
      article.replaceChildren(make("p", {}, "This attempt is not in this file."));
      return;
    }
    const sample = JSON.parse(node.textContent);
    const back = find("overview") ? "#tasks" : "../index.html#tasks";
    article.replaceChildren(...[
      make("nav", { "aria-label": "Attempt" }, make("a", { href: back }, "back to the overview"), sibling(number, -1), sibling(number, 1)),
      make("h2", { tabindex: "-1" }, sample.task),
      verdictOf(sample),
      facts(sample),
      sample.verdict?.detail ? folded("detail", true, prose(sample.verdict.detail)) : null,
      sample.timings.length ? make("h3", {}, "Times") : null,
      sample.timings.length ? timesTable(sample.timings) : null,
      make("h3", {}, "Source"),
      sample.source ? highlighted(sample.source) : make("p", {}, "nothing was handed in"),
      sample.to_previous ? folded(`beside version ${sample.previous}, the one before`, false, difference(sample.to_previous)) : null,
      sample.to_best ? folded(`beside version ${sample.best}, the fastest right one`, false, difference(sample.to_best)) : null,
      sample.instruction ? folded("instruction", false, prose(sample.instruction)) : null,
      sample.versions.length ? make("h3", {}, "Versions") : null,
      ...sample.versions.map(versionOf),
      sample.events.length ? make("h3", {}, "Transcript") : null,
      sample.cut ? make("p", { class: "legend" }, "Cut here; the run folder has it whole.") : null,
      ...sample.events.map((event) => folded(event.title, false, prose(event.text))),
    ].filter((child) => child !== null));
    article.querySelector("h2").focus({ preventScroll: true });
  };

  let wasShown = false;
  const route = () => {
    const wanted = state().get("sample");
    const shown = wanted !== null && /^\d+$/.test(wanted);
    const article = find("sample");
    article.hidden = !shown;
    if (find("overview")) find("overview").hidden = shown;
    if (shown) {
      showSample(Number(wanted));
      scrollTo(0, 0);
    } else if (wasShown) {
      article.replaceChildren();
      const anchor = location.hash.slice(1) && find(location.hash.slice(1));
      if (anchor) anchor.scrollIntoView();
    }
    if (!shown && !find("overview")) {
      const all = [...document.querySelectorAll("script.sample")].map((node) => [node.id.slice(1), JSON.parse(node.textContent)]);
      article.hidden = false;
      article.replaceChildren(make("nav", {}, make("a", { href: "../index.html" }, "to the overview")), make("ul", {}, ...all.map(([number, sample]) => make("li", {}, make("a", { href: `#sample=${number}` }, sample.id)))));
    }
    wasShown = shown;
  };
  addEventListener("hashchange", route);
  route();
})();
