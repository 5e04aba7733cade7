"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

// An element whose children are elements or plain texts, never HTML.
function make(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function startChart(plot) {
  const { rows, cols, start, texts } = data.charts[plot.dataset.chart];
  const readout = byId(plot.dataset.chart + "-readout");
  const picture = plot.querySelector("svg");
  const cursor = plot.querySelector(".cursor");
  let row = Math.floor(start / cols);
  let column = start % cols;

  function choose(newRow, newColumn) {
    row = Math.min(Math.max(newRow, 0), rows - 1);
    column = Math.min(Math.max(newColumn, 0), cols - 1);
    const box = { x: column / cols, y: row / rows, width: 1 / cols, height: 1 / rows };
    for (const [key, share] of Object.entries(box)) cursor.setAttribute(key, 100 * share + "%");
    cursor.classList.add("shown");
    readout.textContent = texts[row * cols + column];
  }

  function choosePointed(event) {
    const box = picture.getBoundingClientRect();
    const across = (event.clientX - box.left) / box.width;
    const down = (event.clientY - box.top) / box.height;
    choose(Math.floor(down * rows), Math.floor(across * cols));
  }

  const steps = {
    ArrowUp: () => [row - 1, column],
    ArrowDown: () => [row + 1, column],
    ArrowLeft: () => [row, column - 1],
    ArrowRight: () => [row, column + 1],
    Home: () => [row, 0],
    End: () => [row, cols - 1],
    PageUp: () => [0, column],
    PageDown: () => [rows - 1, column],
  };
  plot.addEventListener("pointermove", choosePointed);
  plot.addEventListener("pointerdown", choosePointed);
  plot.addEventListener("focus", () => choose(row, column));
  plot.addEventListener("keydown", (event) => {
    if (!steps[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    choose(...steps[event.key]());
  });
}

// What a token looks like in a line of its own: a line break would tear the text apart.
const shown = (text) => text.replace(/\r\n?|\n/g, "⏎");

function colour(node, weight) {
  node.classList.add("copied");
  node.style.setProperty("--weight", weight);
}

function showContext(trial) {
  const nodes = trial.context.map(([text, role]) =>
    make("span", role ? { class: role } : {}, shown(text)));
  const away = (n, where) => n
    ? [make("span", { class: "away" }, `[${n.toLocaleString("en")} tokens ${where}] `)] : [];
  byId("context").replaceChildren(
    ...away(trial.before, "before"), ...nodes, " ", ...away(trial.after, "after"));
  return nodes;
}

function showSaid(trial) {
  const nodes = trial.said.map((text) => make("span", {}, shown(text)));
  const more = trial.cut ? [make("span", { class: "away" }, ` [${trial.cut} more tokens]`)] : [];
  byId("said").replaceChildren(...(nodes.length ? nodes : ["(nothing)"]), ...more);
  return nodes;
}

function showCopies(trial, choose) {
  byId("copies").replaceChildren();
  if (!trial.heads.length) return;
  const most = 10;
  const head = make("tr", {}, make("th", { scope: "col" }, "head"),
    ...trial.said.map((text) => make("th", { scope: "col" }, shown(text))));
  const rows = trial.heads.slice(0, most).map((one, place) => {
    const button = make("button", { type: "button", "aria-pressed": "false" }, one.label);
    button.addEventListener("click", () => choose(place));
    const cells = trial.said.map(() => make("td", {}));
    for (const [step, , weight] of one.copies) {
      if (!cells[step]) continue;
      cells[step].textContent = weight.toFixed(2);
      colour(cells[step], weight);
    }
    return make("tr", {}, make("th", { scope: "row" }, button), ...cells);
  });
  byId("copies").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}

function showSteps(trial, one) {
  const columns = ["step", "said", "attention", "margin", "on the answer", "on the first token"];
  const head = make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name)));
  const rows = one.copies.map(([step, , ...numbers]) => make("tr", {},
    make("th", { scope: "row" }, String(step)),
    make("td", {}, shown(trial.said[step] ?? "")),
    ...numbers.map((number) => make("td", {}, number.toFixed(3)))));
  byId("steps").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}

function link(node, others) {
  node.addEventListener("pointerenter", () => others.forEach((o) => o.classList.add("linked")));
  node.addEventListener("pointerleave", () => others.forEach((o) => o.classList.remove("linked")));
}

function showHead(trial, place) {
  const context = showContext(trial);
  const said = showSaid(trial);
  const one = trial.heads[place];
  for (const button of byId("copies").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.textContent === one?.label));
  }
  if (!one) {
    byId("copied").textContent = "No head copied anything in this trial.";
    byId("steps").replaceChildren();
    return;
  }
  for (const [step, source, weight] of one.copies) {
    const nodes = [context[source], said[step]].filter(Boolean);
    for (const node of nodes) {
      colour(node, Math.max(weight, Number(node.style.getPropertyValue("--weight"))));
      link(node, nodes);
    }
  }
  const steps = trial.said.length + trial.cut;
  byId("copied").textContent =
    `${one.label} (score ${one.score}) copied at ${one.copies.length} of ${steps} steps.`;
  showSteps(trial, one);
}

function startTrials() {
  const trialChoice = byId("trial");
  const headChoice = byId("head");
  if (!data.trials.length) return;
  const trial = () => data.trials[Number(trialChoice.value)];

  function chooseHead(place) {
    headChoice.value = String(place);
    showHead(trial(), place);
  }

  function chooseTrial() {
    const before = headChoice.selectedOptions[0]?.dataset.label;
    const heads = trial().heads;
    const names = heads.map((one, place) => make("option",
      { value: String(place), "data-label": one.label },
      `${one.label}, score ${one.score}, ${one.copies.length} copies`));
    headChoice.replaceChildren(...(names.length ? names : [make("option", { value: "0" }, "none copied")]));
    byId("facts").replaceChildren(...trial().facts.flatMap(([name, value]) =>
      [make("dt", {}, name), make("dd", { dir: "auto" }, value)]));
    showCopies(trial(), chooseHead);
    chooseHead(Math.max(heads.findIndex((one) => one.label === before), 0));
  }

  trialChoice.addEventListener("change", chooseTrial);
  headChoice.addEventListener("change", () => chooseHead(Number(headChoice.value)));
  chooseTrial();
}

document.querySelectorAll("[data-chart]").forEach(startChart);
startTrials();
