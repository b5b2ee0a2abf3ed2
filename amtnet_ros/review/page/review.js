// The page of `amtnet annotate review`. A person of a clip is an action as in the file: {label, first_frame, boxes}, or
// {label, frames, boxes} where only some frames have a box. Boxes are [x1, y1, x2, y2] in pixels of the video.
"use strict";

const COLOURS = ["#ffd33d", "#4cc9f0", "#f78fb3", "#7bed9f", "#ff9f43", "#c8a2ff"];
const HANDLE = 9; // half a corner's grip, in pixels of the screen
const LEAST = 2; // sides of a box, in pixels of the video
const AHEAD = 20; // frames that are asked for in advance

const el = (id) => document.getElementById(id);
const picture = el("picture"), timeline = el("timeline");
const address = (what, values) => `${what}?${new URLSearchParams(values)}`;

let clips = []; // [{name, labels, review}], as listed
let labels = []; // all that an action may have
let clip = null; // what is looked at, see `open`
let playing = 0; // the timer that plays
const unsaved = new Set(); // clips with changes that are not in the file yet

// ---- boxes of a person -----------------------------------------------------------------------------------------------

const framesOf = (person) => person.frames ?? person.boxes.map((_, i) => person.first_frame + i);
const firstOf = (person) => person.frames ? person.frames[0] : person.first_frame;
const lastOf = (person) => person.frames ? person.frames.at(-1) : person.first_frame + person.boxes.length - 1;
const copy = (value) => JSON.parse(JSON.stringify(value));
const between = (a, b, share) => a.map((value, i) => round(value + (b[i] - value) * share));
const round = (value) => Math.round(value * 100) / 100;

/** The box at a frame, or null; `drawn` tells whether the file has it, or it lies between two that it has. */
function boxAt(person, frame) {
  const frames = framesOf(person);
  const after = frames.findIndex((each) => each >= frame);
  if (after < 0 || frame < frames[0]) return null;
  if (frames[after] === frame) return {box: person.boxes[after], drawn: true};
  const share = (frame - frames[after - 1]) / (frames[after] - frames[after - 1]);
  return {box: between(person.boxes[after - 1], person.boxes[after], share), drawn: false};
}

function setBox(person, frame, box) {
  const frames = framesOf(person);
  const at = frames.findIndex((each) => each >= frame);
  if (frames[at] === frame) {
    person.boxes[at] = box;
  } else if (person.frames && at > 0) {
    person.frames.splice(at, 0, frame);
    person.boxes.splice(at, 0, box);
  }
}

function overlap(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return width * height / (area(a) + area(b) - width * height);
}

/** The candidate that a person's boxes were taken from: the one that overlaps them most. */
function tubeOf(person) {
  let best = null, most = 0;
  for (const tube of clip.candidates) {
    const sum = framesOf(person).reduce((total, frame, i) => {
      const there = boxAt(tube, frame);
      return total + (there ? overlap(person.boxes[i], there.box) : 0);
    }, 0);
    if (sum > most) [best, most] = [tube, sum];
  }
  return best;
}

// ---- what the user does ----------------------------------------------------------------------------------------------

const person = () => clip.actions[clip.selected];
const say = (text) => { el("message").textContent = text; };

/** Change the clip by a function, so that it can be undone, and save it. The function returns a complaint, or nothing. */
function change(work) {
  const before = {actions: copy(clip.actions), review: clip.review, keys: copy(clip.keys), selected: clip.selected};
  const complaint = work();
  say(complaint ?? "");
  if (!complaint) {
    clip.undo.push(before);
    save(clip);
  }
  show();
}

function undo() {
  const before = clip.undo.pop();
  if (!before) return say("nothing to undo");
  Object.assign(clip, before);
  say("");
  save(clip);
  show();
}

function judge(review) {
  change(() => { clip.review = review; });
  if (review === "open") return;
  const here = clips.findIndex((each) => each.name === clip.name);
  const next = [...clips.slice(here + 1), ...clips.slice(0, here)].find((each) => each.review === "open");
  if (next) open(next.name);
  else say("All clips are reviewed.");
}

function begin() {
  const one = person();
  if (!one) return "nobody is there to trim; 1 to 9 take a tube";
  if (clip.frame > lastOf(one)) return "the action would be over before it begins";
  const cut = framesOf(one).findIndex((frame) => frame >= clip.frame);
  if (clip.frame >= firstOf(one)) {
    const box = boxAt(one, clip.frame).box;
    if (one.frames) one.frames.splice(0, cut);
    else one.first_frame = clip.frame;
    one.boxes.splice(0, cut);
    if (one.frames && one.frames[0] > clip.frame) {
      one.frames.unshift(clip.frame);
      one.boxes.unshift(box);
    }
    return;
  }
  return extend(one, clip.frame, firstOf(one) - 1);
}

function end() {
  const one = person();
  if (!one) return "nobody is there to trim; 1 to 9 take a tube";
  if (clip.frame < firstOf(one)) return "the action would be over before it begins";
  if (clip.frame <= lastOf(one)) {
    const box = boxAt(one, clip.frame).box;
    const kept = framesOf(one).filter((frame) => frame <= clip.frame).length;
    one.boxes.length = kept;
    if (one.frames) {
      one.frames.length = kept;
      if (one.frames.at(-1) < clip.frame) {
        one.frames.push(clip.frame);
        one.boxes.push(box);
      }
    }
    return;
  }
  return extend(one, lastOf(one) + 1, clip.frame);
}

/** Give a person the boxes of its tube from one frame to another, beside those that it has. */
function extend(one, from, to) {
  const tube = tubeOf(one);
  const found = [];
  for (let frame = from; frame <= to; frame++) {
    const there = tube && boxAt(tube, frame);
    if (!there) return `the detector found nobody in frame ${frame} that goes on here; the action cannot reach so far`;
    found.push(there.box);
  }
  if (one.frames) {
    const added = found.map((_, i) => from + i);
    one.frames = from < one.frames[0] ? [...added, ...one.frames] : [...one.frames, ...added];
  }
  const before = from < firstOf(one);
  one.boxes = before ? [...found, ...one.boxes] : [...one.boxes, ...found];
  if (before && !one.frames) one.first_frame = from;
}

function take(number, more) {
  const tube = clip.candidates[number - 1];
  if (!tube) return `there is no tube ${number}; the detector found ${clip.candidates.length}`;
  const label = person()?.label ?? el("label").value;
  const taken = {label, first_frame: tube.first_frame, boxes: copy(tube.boxes)};
  if (more || !person()) {
    clip.actions.push(taken);
    clip.selected = clip.actions.length - 1;
  } else {
    clip.actions[clip.selected] = taken;
  }
  clip.keys = [];
}

function remove() {
  if (!person()) return "nobody is there to remove";
  clip.actions.splice(clip.selected, 1);
  clip.selected = Math.max(0, clip.selected - 1);
  clip.keys = [];
}

/** A corrected box: a key frame. Between two neighbouring key frames boxes move evenly. */
function correct(box) {
  const one = person();
  setBox(one, clip.frame, box.map(round));
  clip.keys = [...new Set([...clip.keys, clip.frame])].sort((a, b) => a - b);
  if (one.frames) return;
  const at = clip.keys.indexOf(clip.frame);
  for (const [from, to] of [[clip.keys[at - 1], clip.frame], [clip.frame, clip.keys[at + 1]]]) {
    if (from === undefined || to === undefined) continue;
    const a = boxAt(one, from), b = boxAt(one, to);
    for (let frame = from + 1; a && b && frame < to; frame++) {
      setBox(one, frame, between(a.box, b.box, (frame - from) / (to - from)));
    }
  }
}

function select(number) {
  if (number !== clip.selected) clip.keys = [];
  clip.selected = number;
  show();
}

const KEYS = {
  a: () => judge("accepted"),
  d: () => judge("dropped"),
  o: () => judge("open"),
  u: undo,
  k: () => { clip.keys = []; say(""); show(); },
  "[": () => change(begin),
  b: () => change(begin), // where [ takes a modifier
  "]": () => change(end),
  e: () => change(end),
  " ": () => play(!playing),
  arrowleft: (event) => seek(clip.frame - (event.shiftKey ? 10 : 1)),
  arrowright: (event) => seek(clip.frame + (event.shiftKey ? 10 : 1)),
  home: () => seek(0),
  end: () => seek(clip.n_frames - 1),
  arrowup: () => step(-1),
  arrowdown: () => step(1),
  tab: () => clip.actions.length && select((clip.selected + 1) % clip.actions.length),
  delete: () => change(remove),
  backspace: () => change(remove),
};

document.addEventListener("keydown", (event) => {
  if (!clip || event.target.tagName === "SELECT" || event.altKey || event.metaKey || (event.ctrlKey && event.key !== "z")) return;
  const digit = /^Digit([1-9])$/.exec(event.code);
  const work = digit ? () => change(() => take(Number(digit[1]), event.shiftKey))
    : KEYS[event.ctrlKey ? "u" : event.key.toLowerCase()];
  if (!work) return;
  event.preventDefault();
  work(event);
});

// ---- the mouse -------------------------------------------------------------------------------------------------------

let drag = null; // {x, y, box, sides: which of x1, y1, x2, y2 move}

function grip(x, y, box) {
  const near = HANDLE / clip.scale;
  const left = Math.abs(x - box[0]) < near, right = Math.abs(x - box[2]) < near;
  const top = Math.abs(y - box[1]) < near, bottom = Math.abs(y - box[3]) < near;
  const inside = x > box[0] - near && x < box[2] + near && y > box[1] - near && y < box[3] + near;
  if (!inside) return null;
  const sides = [left && !right, top && !bottom, right, bottom];
  return sides.some(Boolean) ? sides : [true, true, true, true];
}

function dragged(x, y) {
  const limits = [clip.width, clip.height, clip.width, clip.height];
  const moves = [x - drag.x, y - drag.y, x - drag.x, y - drag.y];
  if (drag.sides.every(Boolean)) { // the whole box, which keeps its size
    for (const i of [0, 1]) {
      moves[i] = moves[i + 2] = Math.min(Math.max(moves[i], -drag.box[i]), limits[i] - drag.box[i + 2]);
    }
  }
  const box = drag.box.map((value, i) => drag.sides[i] ? Math.min(Math.max(value + moves[i], 0), limits[i]) : value);
  for (const i of [0, 1]) {
    if (box[i + 2] - box[i] < LEAST) {
      if (drag.sides[i]) box[i] = box[i + 2] - LEAST;
      else box[i + 2] = box[i] + LEAST;
    }
  }
  return box;
}

picture.addEventListener("pointerdown", (event) => {
  const [x, y] = [event.offsetX / clip.scale, event.offsetY / clip.scale];
  const here = (one) => boxAt(one, clip.frame)?.box;
  const order = [clip.selected, ...clip.actions.keys()].filter((i) => clip.actions[i] && here(clip.actions[i]));
  const hit = order.find((i) => grip(x, y, here(clip.actions[i])));
  if (hit === undefined) return;
  play(false);
  if (hit !== clip.selected) select(hit);
  const box = here(person());
  drag = {x, y, box, now: box, sides: grip(x, y, box)};
  picture.setPointerCapture(event.pointerId);
});
picture.addEventListener("pointermove", (event) => {
  if (!drag) return;
  drag.now = dragged(event.offsetX / clip.scale, event.offsetY / clip.scale);
  draw();
});
picture.addEventListener("pointerup", () => {
  if (!drag) return;
  const {box, now} = drag;
  drag = null;
  if (now.some((value, i) => value !== box[i])) change(() => correct(now));
});
picture.addEventListener("pointercancel", () => { drag = null; draw(); });

const seekTo = (event) => {
  if (clip && event.buttons) seek(Math.floor(event.offsetX / timeline.clientWidth * clip.n_frames));
};
timeline.addEventListener("pointerdown", seekTo);
timeline.addEventListener("pointermove", seekTo);

// ---- clips -----------------------------------------------------------------------------------------------------------

async function ask(what, values, options) {
  const response = await fetch(address(what, values), options);
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

async function open(name) {
  play(false);
  try {
    const waiting = [...unsaved].find((each) => each.name === name);
    clip = waiting ?? {...await ask("video", {name}), name, frame: 0, selected: 0, keys: [], undo: [], images: new Map()};
  } catch (error) {
    return say(`${name}: ${error.message}`);
  }
  if (!clip.actions.length && labels.includes(name.split("/")[0])) el("label").value = name.split("/")[0];
  say(clip.problem ?? (clip.actions.length ? "" : "Nobody has an action here; 1 to 9 take a tube."));
  fit();
  seek(clip.actions.length ? firstOf(clip.actions[0]) : 0);
  show();
}

function step(by) {
  const here = clips.findIndex((each) => each.name === clip.name) + by;
  if (clips[here]) open(clips[here].name);
}

/** Save a clip; while it is being saved, changes wait, and the newest is saved next. */
async function save(changed) {
  const listed = clips.find((each) => each.name === changed.name);
  listed.review = changed.review;
  listed.labels = changed.actions.map((each) => each.label);
  unsaved.add(changed);
  changed.again = true;
  if (changed.saving) return;
  changed.saving = true;
  try {
    while (changed.again) {
      changed.again = false;
      mark("saving …");
      const body = JSON.stringify({version: changed.version, actions: changed.actions, review: changed.review});
      const options = {method: "POST", headers: {"Content-Type": "application/json"}, body};
      changed.version = (await ask("video", {name: changed.name}, options)).version;
    }
    unsaved.delete(changed);
    mark(unsaved.size ? `NOT saved: ${[...unsaved].map((each) => each.name)}` : "saved", unsaved.size > 0);
  } catch (error) {
    mark(`NOT saved: ${changed.name}: ${error.message}`, true);
  }
  changed.saving = false;
}

function mark(text, wrong) {
  el("saved").textContent = text;
  el("saved").className = wrong ? "wrong" : "";
}

window.addEventListener("beforeunload", (event) => {
  if (unsaved.size) event.preventDefault();
});

// ---- time ------------------------------------------------------------------------------------------------------------

function image(frame) {
  if (!clip.images.has(frame)) {
    const made = new Image();
    const of = clip;
    made.onload = () => of === clip && frame === clip.frame && draw();
    made.onerror = () => of === clip && unreadable(frame);
    made.src = address("frame", {name: clip.name, number: frame});
    clip.images.set(frame, made);
  }
  return clip.images.get(frame);
}

async function unreadable(frame) {
  clip.images.delete(frame);
  const response = await fetch(address("frame", {name: clip.name, number: frame}));
  if (!response.ok) say(await response.text());
}

function seek(frame) {
  clip.frame = Math.min(Math.max(frame, 0), clip.n_frames - 1);
  for (let ahead = 0; ahead <= AHEAD && clip.frame + ahead < clip.n_frames; ahead++) image(clip.frame + ahead);
  for (const frame of clip.images.keys()) {
    if (Math.abs(frame - clip.frame) > 20 * AHEAD) clip.images.delete(frame);
  }
  draw();
  drawTimeline();
}

function play(on) {
  clearInterval(playing);
  playing = 0;
  if (!on) return;
  playing = setInterval(() => {
    const next = (clip.frame + 1) % clip.n_frames;
    if (image(next).complete) seek(next);
  }, 1000 / clip.rate);
}

// ---- drawing ---------------------------------------------------------------------------------------------------------

/** The picture's size: as large as fits. */
function fit() {
  if (!clip) return;
  const room = [el("picture").parentElement.clientWidth - 30, Math.max(window.innerHeight - 290, 200)];
  clip.scale = Math.min(room[0] / clip.width, room[1] / clip.height);
  picture.width = Math.round(clip.width * clip.scale);
  picture.height = Math.round(clip.height * clip.scale);
  timeline.width = timeline.clientWidth;
}

function rectangle(context, box, colour, width, dash) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  const [x1, y1, x2, y2] = box.map((value) => value * clip.scale);
  context.strokeRect(x1, y1, x2 - x1, y2 - y1);
  context.setLineDash([]);
}

function tag(context, text, x, y, colour) {
  context.font = "bold 14px system-ui, sans-serif";
  const width = context.measureText(text).width + 8;
  const top = Math.max(y - 18, 0);
  context.fillStyle = colour;
  context.fillRect(x, top, width, 18);
  context.fillStyle = "#000";
  context.fillText(text, x + 4, top + 14);
}

function draw() {
  const context = picture.getContext("2d");
  const shown = image(clip.frame);
  if (!shown.complete || !shown.naturalWidth) return;
  context.drawImage(shown, 0, 0, picture.width, picture.height);
  clip.candidates.forEach((tube, i) => {
    const there = boxAt(tube, clip.frame);
    if (!there) return;
    rectangle(context, there.box, "#c8ccd4", 1, [3, 4]);
    if (i < 9) tag(context, `${i + 1}`, there.box[2] * clip.scale - 16, there.box[3] * clip.scale, "#c8ccd4");
  });
  clip.actions.forEach((one, i) => {
    const there = boxAt(one, clip.frame);
    if (!there) return;
    const selected = i === clip.selected, colour = COLOURS[i % COLOURS.length];
    const box = selected && drag ? drag.now : there.box;
    rectangle(context, box, colour, selected ? 3 : 2, there.drawn ? [] : [8, 6]);
    tag(context, one.label, box[0] * clip.scale, box[1] * clip.scale, colour);
    if (selected) {
      context.fillStyle = colour;
      for (const x of [box[0], box[2]]) {
        for (const y of [box[1], box[3]]) context.fillRect(x * clip.scale - 4, y * clip.scale - 4, 8, 8);
      }
    }
  });
}

function drawTimeline() {
  const context = timeline.getContext("2d");
  const x = (frame) => frame / clip.n_frames * timeline.width;
  context.clearRect(0, 0, timeline.width, timeline.height);
  context.font = "11px system-ui, sans-serif";
  const rows = [...clip.actions.map((one, i) => [one, COLOURS[i % COLOURS.length], one.label]),
    ...clip.candidates.slice(0, 9).map((tube, i) => [tube, "#5b616c", `tube ${i + 1}`])];
  const height = Math.min(18, (timeline.height - 16) / Math.max(rows.length, 1));
  rows.forEach(([one, colour, text], row) => {
    const top = row * height;
    context.fillStyle = colour;
    context.fillRect(x(firstOf(one)), top + 1, x(lastOf(one) + 1) - x(firstOf(one)), height - 2);
    context.fillStyle = row < clip.actions.length ? "#000" : "#e4e6ea";
    if (height > 10) context.fillText(text, x(firstOf(one)) + 4, top + height - 5);
    if (row !== clip.selected || row >= clip.actions.length) return;
    context.fillStyle = "#d0021b";
    for (const key of clip.keys) context.fillRect(x(key + 0.5) - 3, top + height / 2 - 3, 6, 6);
  });
  context.fillStyle = "#fff";
  context.fillRect(x(clip.frame + 0.5) - 1, 0, 2, timeline.height);
  context.fillStyle = "#9aa0aa";
  const text = `frame ${clip.frame} of 0 … ${clip.n_frames - 1}, ${(clip.frame / clip.rate).toFixed(2)} s`;
  context.fillText(text, 4, timeline.height - 3);
}

function options(select, names, chosen) {
  select.replaceChildren(...names.map((name, i) => new Option(name, i)));
  if (chosen !== undefined) select.selectedIndex = chosen;
}

function show() {
  draw();
  drawTimeline();
  el("name").textContent = clip.name;
  el("verdict").textContent = el("verdict").className = clip.review;
  options(el("person"), clip.actions.map((one, i) => `${i + 1} of ${clip.actions.length}`), clip.selected);
  if (person()) el("label").value = person().label;
  const count = (review) => clips.filter((each) => each.review === review).length;
  el("counts").textContent = `${count("accepted")} accepted, ${count("dropped")} dropped, ${count("open")} open`;
  [...el("clips").children].forEach((item, i) => {
    item.className = clips[i].review + (clips[i].name === clip.name ? " current" : "");
    item.lastChild.textContent = clips[i].labels.join(", ") || "nobody";
    if (clips[i].name === clip.name) item.scrollIntoView({block: "nearest"});
  });
}

// ---- the beginning ---------------------------------------------------------------------------------------------------

el("person").addEventListener("change", () => { select(el("person").selectedIndex); el("person").blur(); });
el("label").addEventListener("change", () => {
  if (person()) change(() => { person().label = el("label").value; });
  el("label").blur();
});
window.addEventListener("resize", () => { fit(); if (clip) show(); });

async function start() {
  const listed = await ask("videos", {});
  clips = listed.videos;
  labels = listed.labels;
  document.title = el("file").textContent = listed.file;
  el("label").replaceChildren(...labels.map((name) => new Option(name, name)));
  el("clips").replaceChildren(...clips.map(({name}) => {
    const item = document.createElement("li");
    item.append(name, document.createElement("small"));
    item.addEventListener("click", () => open(name));
    return item;
  }));
  await open((clips.find((each) => each.review === "open") ?? clips[0]).name);
}

start().catch((error) => say(error.message));
