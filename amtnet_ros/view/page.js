// Draws what /facts says: rates, latency, and the timeline, one bar for each time that a person does one thing.
"use strict";

const at = (id) => document.getElementById(id);
const ROOM = 0.75; // of the timeline; a bar that ends before it has room for a name beside it
const SHORTEST = 10; // seconds that the timeline shows at first; it doubles until it shows all that is remembered

let era = 0;
let persons = new Map(); // row → {id, colour, points: [{time, label, score, state}], over}
let actions = {}; // label → [name, colour]
let source = null;
let isOver = false;

function take(facts) {
  if (facts.era !== era) {
    era = facts.era;
    persons = new Map();
  }
  Object.assign(actions, facts.actions);
  for (const [row, time, label, score, state] of facts.points) {
    if (!persons.has(row)) {
      const [id, colour] = facts.persons[row];
      persons.set(row, { id, colour, points: [] });
    }
    persons.get(row).points.push({ time, label, score, state });
  }
  const { start, length } = span(facts);
  forget(start);
  at("title").textContent = facts.title;
  at("rates").textContent = `${facts.images} images/s, ${facts.steps} looked at`;
  at("latency").textContent = Object.entries(facts.latency).map(([name, ms]) => `${name} ${ms} ms`).join("  ·  ");
  say(facts.problem);
  drawAxis(start, length);
  drawRows(start, length);
}

// Which seconds are shown.
function span(facts) {
  let length = SHORTEST;
  while (length < facts.now && length < facts.seconds) length *= 2;
  length = Math.min(length, facts.seconds);
  return { start: Math.max(0, facts.now - length), length };
}

function forget(start) {
  for (const [row, person] of persons) {
    const points = person.points;
    while (points.length > 1 && points[1].time < start) points.shift();
    if (points[points.length - 1].time < start) persons.delete(row);
  }
}

function drawAxis(start, length) {
  const step = length / 5;
  const ticks = [];
  for (let time = Math.ceil(start / step) * step; time < start + length; time += step) {
    const tick = document.createElement("span");
    tick.textContent = `${Math.round(time)} s`;
    tick.style.left = `${((time - start) / length) * 100}%`;
    ticks.push(tick);
  }
  at("axis").replaceChildren(...ticks);
}

function drawRows(start, length) {
  const rows = [...persons].map(([row, person]) => drawPerson(row, person, start, length));
  const shown = [...at("rows").children];
  const same = rows.length === shown.length && rows.every((row, place) => row === shown[place]);
  if (rows.length && !same) at("rows").replaceChildren(...rows);
}

function drawPerson(row, person, start, length) {
  person.line ??= newLine(row, person);
  const track = person.line.lastChild;
  const found = bars(person.points);
  while (track.children.length > found.length) track.lastChild.remove();
  found.forEach((points, place) => {
    const bar = track.children[place] ?? track.appendChild(newBar());
    drawBar(bar, points, place === found.length - 1, start, length);
  });
  return person.line;
}

function newLine(row, person) {
  const line = element("div", "row");
  line.dataset.row = row;
  const name = element("div", "person");
  const mark = element("i");
  mark.style.background = person.colour; // as the box in the picture
  name.append(mark, `#${person.id}`);
  line.append(name, element("div", "track"));
  return line;
}

function newBar() {
  const bar = element("div");
  bar.append(element("div", "height"), element("span"));
  return bar;
}

// The points of each bar; one bar ends where the next begins.
function bars(points) {
  const found = [];
  for (const point of points) {
    const bar = found[found.length - 1];
    bar?.push(point);
    if (!bar || point.label !== bar[0].label || unsure(point) !== unsure(bar[0])) found.push([point]);
  }
  return found.filter((bar) => bar.length > 1);
}

const unsure = (point) => point.state === "TENTATIVE";

function drawBar(bar, points, isNewest, start, length) {
  const [first, last] = [points[0], points[points.length - 1]];
  const [action, colour] = actions[first.label];
  const from = Math.max(first.time, start);
  bar.className = unsure(first) ? "bar unsure" : "bar";
  // What somebody does now is always named: beside a bar that has room there.
  if (isNewest && (last.time - start) / length < ROOM) bar.classList.add("named-beside");
  bar.dataset.action = action;
  bar.style.left = `${((from - start) / length) * 100}%`;
  bar.style.width = `${((last.time - from) / length) * 100}%`;
  bar.title = `${action}, ${first.time.toFixed(1)} to ${last.time.toFixed(1)} s`;
  const [height, caption] = bar.children;
  const isAction = action !== "other"; // which has no score of its own
  // The last point belongs to the next bar already, unless it is the person's newest.
  const scored = points.map((point) => (point.label === first.label ? point : { ...points[points.length - 2], time: point.time }));
  height.style.background = colour;
  height.style.clipPath = outline(scored, from, isAction);
  caption.textContent = isAction ? `${action} ${scored[scored.length - 1].score.toFixed(2)}` : action;
}

// The score over time as the upper edge of a bar; without a score the bar is even.
function outline(points, from, isAction) {
  const seconds = Math.max(points[points.length - 1].time - from, 1e-6);
  const edge = points.map(({ time, score }) => {
    const x = Math.max(0, (100 * (time - from)) / seconds);
    return `${x.toFixed(2)}% ${(isAction ? 100 - 92 * score : 75).toFixed(1)}%`;
  });
  return `polygon(0% 100%, ${edge.join(", ")}, 100% 100%)`;
}

function element(kind, className = "") {
  const made = document.createElement(kind);
  made.className = className;
  return made;
}

function say(problem) {
  at("problem").hidden = !problem;
  at("problem").textContent = problem;
}

// A page that nobody sees asks for nothing.
function look() {
  if (source || isOver || document.hidden) return;
  era = 0;
  source = new EventSource("facts");
  source.onmessage = (event) => take(JSON.parse(event.data));
  source.onopen = () => {
    document.body.classList.remove("over");
    at("picture").src = `picture?${Date.now()}`;
  };
  source.addEventListener("end", () => {
    source.close(); // the last picture stays
    isOver = true;
    document.body.classList.add("over");
    say("It has ended. Load this page again once it runs again.");
  });
  source.onerror = () => {
    document.body.classList.add("over");
    say("Nothing is heard of it any more. This page looks for it again and again.");
  };
}

function lookAway() {
  if (isOver) return;
  source?.close();
  source = null;
  at("picture").removeAttribute("src");
}

document.addEventListener("visibilitychange", () => (document.hidden ? lookAway() : look()));
look();
