"use strict";
// Every text comes from others (logs, names, alarms) and is only ever set as text.

const byId = (id) => document.getElementById(id);

function put(node, text) {
  text = text === null || text === undefined ? "" : String(text);
  if (node.textContent !== text) node.textContent = text;
}

// The same with `words` between backticks in type of equal width.
function say(node, text) {
  if (node.said === text) return;
  node.said = text;
  const parts = text.split("`");
  // One that has no partner stays as it is.
  const odd = parts.length % 2 === 0 ? parts.pop() : null;
  if (odd !== null) parts[parts.length - 1] += "`" + odd;
  node.replaceChildren(...parts.map((part, index) => (index % 2 ? make("code", "", part) : part)));
}

function make(tag, classes, text) {
  const node = document.createElement(tag);
  if (classes) node.className = classes;
  if (text !== undefined) node.textContent = text;
  return node;
}

function mood(node, value, word) {
  if (node.dataset.mood !== value) node.dataset.mood = value;
  say(node, word);
}

// One child for each item, in order; a child that is there already stays, so that a selection and an open fold do.
function list(parent, items, key, create, update) {
  const old = new Map();
  for (const child of parent.children) if (child.dataset.key !== undefined) old.set(child.dataset.key, child);
  let last = null;
  items.forEach((item, index) => {
    const name = key(item, index);
    let child = old.get(name);
    old.delete(name);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    update(child, item, index);
    const place = last ? last.nextElementSibling : Array.from(parent.children).find((c) => c.dataset.key !== undefined) || null;
    if (place !== child) parent.insertBefore(child, place);
    last = child;
  });
  for (const child of old.values()) child.remove();
}

const lines = (parent, texts) =>
  list(parent, texts, (_, index) => String(index), () => make("li"), (node, text) => say(node, text));

// --- evaluations ------------------------------------------------------------------------------------

function newEval() {
  const node = make("article", "eval");
  const head = make("div", "eval-head");
  head.append(make("h3"), make("span", "state"), make("span", "share"));
  const bar = make("div", "bar");
  bar.setAttribute("role", "progressbar");
  bar.setAttribute("aria-valuemin", "0");
  bar.append(make("i", "well"), make("i", "errors"));
  node.append(head, bar, make("dl", "numbers"));
  return node;
}

function showEval(node, [status, numbers]) {
  put(node.querySelector("h3"), status.name);
  mood(node.querySelector(".state"), status.mood, status.says);
  const counted = status.total > 0;
  // Rounded down: 100 % is said when nothing is missing.
  const share = counted ? Math.floor((1000 * status.done) / status.total) / 10 : 0;
  put(node.querySelector(".share"), counted ? share.toFixed(1) + " %" : "");
  const bar = node.querySelector(".bar");
  bar.setAttribute("aria-label", status.name);
  bar.setAttribute("aria-valuemax", String(status.total));
  bar.setAttribute("aria-valuenow", String(status.done));
  const width = (count) => (counted ? (100 * count) / status.total : 0) + "%";
  bar.children[0].style.width = width(status.done - status.errors);
  bar.children[1].style.width = width(status.errors);
  const pairs = counted
    ? [
        ["done", status.done + " of " + status.total],
        status.done > 0 ? ["in error", status.errors] : null,
        numbers.accuracy === null ? null : ["accuracy", numbers.accuracy],
        status.torn > 0 ? ["torn", status.torn] : null,
        numbers.pace === null ? null : ["pace", numbers.pace],
        numbers.left === null ? null : ["time left", numbers.left === "unknown" ? "unknown" : "about " + numbers.left],
        numbers.still === null ? null : ["nothing for", numbers.still],
      ].filter((pair) => pair !== null)
    : [];
  list(
    node.querySelector(".numbers"),
    pairs,
    (pair) => pair[0],
    () => {
      const one = make("div");
      one.append(make("dt"), make("dd"));
      return one;
    },
    (one, pair) => {
      put(one.children[0], pair[0]);
      put(one.children[1], pair[1]);
    },
  );
}

// --- servers ----------------------------------------------------------------------------------------

const FEW = 12;
const unfolded = new Set();

function newRow(kind) {
  const row = make("tr", kind);
  const name = make("th");
  name.scope = "row";
  row.append(name);
  if (kind.startsWith("unit")) {
    const state = make("td");
    state.append(make("span", "state"));
    row.append(state, make("td", "where"), make("td", "number"), make("td", "known"));
  } else {
    const sum = make("td", "sum");
    sum.colSpan = 4;
    row.append(sum);
  }
  return row;
}

function showUnit(row, unit) {
  put(row.querySelector("th"), unit.unit);
  const word = unit.liveness || unit.phase;
  mood(row.querySelector(".state"), unit.mood, word);
  row.classList.toggle("bad", unit.mood === "bad");
  row.classList.toggle("good", unit.mood === "good");
  put(row.querySelector(".where"), unit.node + (unit.port === null ? "" : ":" + unit.port));
  const restarts = Math.max(0, unit.generation - 1);
  const number = row.querySelector(".number");
  number.toggleAttribute("data-none", restarts === 0);
  put(number, restarts);
  // Neither the state's own word nor the count twice.
  let known = unit.text.replace(/ \(start \d+\)$/, "");
  if (known === word) known = "";
  if (known.startsWith(word + ": ")) known = known.slice(word.length + 2);
  say(row.querySelector(".known"), known);
}

function groupRows(group) {
  if (group.units.length === 1) return [{ kind: "unit", key: group.units[0].unit, unit: group.units[0] }];
  const rows = [{ kind: "group", key: " ", group }];
  const folds = group.units.length > FEW && !unfolded.has(group.name);
  const shown = folds ? group.units.filter((unit) => unit.mood === "bad" || unit.mood === "busy").slice(0, FEW) : group.units;
  for (const unit of shown) rows.push({ kind: "unit member", key: unit.unit, unit });
  if (group.units.length > FEW) rows.push({ kind: "fold member", key: "  ", group, more: group.units.length - shown.length });
  return rows;
}

function showGroup(body, group) {
  list(
    body,
    groupRows(group),
    (row) => row.key,
    (row) => {
      const node = newRow(row.kind);
      if (row.kind === "fold member") {
        const button = make("button");
        button.type = "button";
        button.addEventListener("click", () => {
          if (!unfolded.delete(group.name)) unfolded.add(group.name);
          if (last) showServers(last.status.groups);
        });
        node.firstChild.append(button);
      }
      return node;
    },
    (node, row) => {
      if (row.unit) return showUnit(node, row.unit);
      if (row.kind === "fold member") return put(node.querySelector("button"), row.more > 0 ? row.more + " more" : "show fewer");
      put(node.querySelector("th"), group.name);
      const short = group.needed && group.ready < group.min_ready;
      const sum = node.querySelector(".sum");
      sum.classList.toggle("short", short);
      put(sum, group.ready + " of " + group.total + " ready" + (short ? ", evaluations need " + group.min_ready : ""));
    },
  );
}

const showServers = (groups) =>
  list(document.querySelector("#servers table"), groups, (group) => group.name, () => make("tbody"), showGroup);

// --- alarms -----------------------------------------------------------------------------------------

function newAlarm() {
  const node = make("li");
  const head = make("p");
  head.append(make("span", "word"), " ", make("time"));
  node.append(head, make("p", "text"));
  return node;
}

function showAlarms(alarms, times) {
  const all = alarms.map((alarm, index) => ({ ...alarm, ...{ when: times[index], index } })).reverse();
  const open = all.filter((alarm) => alarm.over === null);
  const over = all.filter((alarm) => alarm.over !== null);
  const section = byId("alarms");
  const show = (node, alarm) => {
    put(node.querySelector(".word"), alarm.alarm);
    const time = node.querySelector("time");
    time.dateTime = alarm.at;
    put(time, alarm.when.over === null ? alarm.when.at : alarm.when.at + ", over since " + alarm.when.over);
    say(node.querySelector(".text"), alarm.text);
  };
  const key = (alarm) => String(alarm.index);
  list(section.querySelector(".open"), open, key, newAlarm, show);
  list(section.querySelector(".over"), over, key, newAlarm, show);
  section.classList.toggle("alarmed", open.length > 0);
  section.querySelector(".none").hidden = open.length > 0;
  section.querySelector("details").hidden = over.length === 0;
  put(section.querySelector("summary"), over.length === 1 ? "1 that is over" : over.length + " that are over");
}

// --- all of it --------------------------------------------------------------------------------------

let last = null;

function show(moment) {
  last = moment;
  const status = moment.status;
  put(byId("name"), moment.name);
  put(byId("headline"), moment.headline);
  lines(byId("remarks"), moment.remarks);
  byId("trouble").hidden = moment.trouble === null;
  say(byId("trouble"), moment.trouble === null ? "" : "this is not the present: " + moment.trouble);
  byId("verdict").hidden = moment.verdict.length === 0;
  lines(document.querySelector("#verdict ul"), moment.verdict);
  byId("evals").hidden = status.evals.length === 0;
  const pairs = status.evals.map((it, index) => [it, moment.evals[index]]);
  list(document.querySelector("#evals .list"), pairs, (pair) => pair[0].name, newEval, showEval);
  byId("servers").hidden = status.groups.length === 0;
  showServers(status.groups);
  showAlarms(status.alarms, moment.alarms);
  document.querySelector("main").hidden = false;
  const open = status.alarms.filter((alarm) => alarm.over === null).length;
  const at = status.evals.find((it) => !it.ended && it.total > 0);
  const words = [at ? Math.floor((100 * at.done) / at.total) + " %" : null, open > 0 ? open + (open === 1 ? " alarm" : " alarms") : null, moment.name];
  document.title = words.filter((word) => word !== null).join(" · ");
}

const LOG = 200;
let newest = 0;
let newestDay = null;

function tell(line) {
  const log = document.querySelector("#log ol");
  // A number that is not higher begins anew: another connection, or another journal.
  if (line.seq <= newest) {
    log.replaceChildren();
    newestDay = null;
  }
  newest = line.seq;
  if (newestDay !== null && newestDay !== line.day) log.prepend(make("li", "day", newestDay));
  newestDay = line.day;
  const node = make("li", line.loud ? "loud" : "");
  node.append(make("time", "", line.time), make("span"));
  say(node.lastChild, line.text);
  log.prepend(node);
  while (log.children.length > LOG) log.lastElementChild.remove();
}

const source = new EventSource("events");
source.addEventListener("open", () => mood(byId("link"), "good", "connected"));
source.addEventListener("error", () => mood(byId("link"), "bad", "not connected; trying again"));
source.addEventListener("state", (event) => show(JSON.parse(event.data)));
source.addEventListener("change", (event) => {
  for (const [path, value] of JSON.parse(event.data)) {
    const name = path.pop();
    path.reduce((node, key) => node[key], last)[name] = value;
  }
  show(last);
});
source.addEventListener("event", (event) => tell(JSON.parse(event.data)));
