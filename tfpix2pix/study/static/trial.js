// One trial: its images, the question, the answer and, in practice, which answer was right.

import { blank, clear, draw, expose, nextFrame } from "./presentation.js";
import { get, post } from "./requests.js";
import { setup, tell } from "./words.js";

const SIDES = ["left", "right"];
const KEYS = { ArrowLeft: "left", ArrowRight: "right", 1: "left", 2: "right" };
const NUMBER = { left: "1", right: "2" };

const element = (id) => document.getElementById(id);

// Fetches what the next trial shows, while the person thinks about this one.
export async function loadTrial(visit, index) {
  const trial = await get(`/api/trials/${index}?visit=${visit.visit}`);
  const load = async (address) => createImageBitmap(await get(`/images/${address}`));
  const [left, right, input] = await Promise.all(trial.images.map(load));
  return { ...trial, bitmaps: { left, right, input } };
}

export function ask(text) {
  element("question").textContent = text;
}

// Where the images do not fit side by side at their size, those that are shown one after the other have one
// place, and those that are shown together are smaller.
export function prepareStage([height, width]) {
  const places = setup.shows_input ? [...SIDES, "input"] : SIDES;
  for (const place of places) Object.assign(element(place), { width, height });
  document.documentElement.style.setProperty("--images", `${places.length * width}px`);
  const narrow = window.matchMedia(`(max-width: ${places.length * width + 100}px)`);
  const stage = element("stage");
  stage.classList.toggle("with-input", setup.shows_input);
  const update = () => {
    stage.classList.toggle("narrow", narrow.matches);
    stage.classList.toggle("one-place", narrow.matches && setup.exposure_ms > 0);
  };
  narrow.addEventListener("change", update);
  update();
}

// How the images are drawn: a smaller or coarser image is easier to take for a real one.
function describeScreen() {
  const { width, height } = element("left").getBoundingClientRect();
  return {
    pixel_ratio: window.devicePixelRatio,
    drawn_px: `${Math.round(width)}x${Math.round(height)}`,
    layout: element("stage").classList.contains("one-place") ? "one_place" : "side_by_side",
  };
}

// Returns the side that the person chooses, and how long that took.
function waitForChoice() {
  const start = performance.now();
  const stop = new AbortController();
  const buttons = SIDES.map((side) => element(`choose-${side}`));
  return new Promise((resolve) => {
    const choose = (side) => {
      stop.abort();
      for (const button of buttons) button.disabled = true;
      resolve({ chosen_side: side, response_ms: performance.now() - start });
    };
    const options = { signal: stop.signal };
    for (const [place, side] of SIDES.entries()) {
      buttons[place].disabled = false;
      buttons[place].addEventListener("click", () => choose(side), options);
    }
    const onKey = (event) => {
      const isPlain = !(event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey);
      if (!isPlain || !(event.key in KEYS)) return;
      event.preventDefault();
      choose(KEYS[event.key]);
    };
    window.addEventListener("keydown", onKey, options);
  });
}

// Shows one image after the other, then asks.
async function showInTurn(trial, onAsked) {
  const shownMs = {};
  for (const [place, side] of SIDES.entries()) {
    if (place > 0) await blank(trial.gaps_ms[place]);
    element("stage").dataset.now = side;
    shownMs[side] = await expose(element(side), trial.bitmaps[side], setup.exposure_ms);
  }
  delete element("stage").dataset.now;
  ask(setup.question);
  onAsked();
  return { ...(await waitForChoice()), left_ms: shownMs.left, right_ms: shownMs.right };
}

// Shows both images until the answer.
async function showTogether(trial, onAsked) {
  const shown = await nextFrame();
  for (const side of SIDES) draw(element(side), trial.bitmaps[side]);
  ask(setup.question);
  onAsked();
  const choice = await waitForChoice();
  for (const side of SIDES) clear(element(side));
  const shownMs = (await nextFrame()) - shown;
  return { ...choice, left_ms: shownMs, right_ms: shownMs };
}

async function giveFeedback(visit, trial, feedback) {
  const stage = element("stage");
  stage.style.minHeight = `${stage.offsetHeight}px`; // so that nothing below moves
  stage.classList.add("feedback");
  for (const side of SIDES) {
    draw(element(side), trial.bitmaps[side]);
    const verdict = side === feedback.fake_side ? `✗ ${tell("fake")}` : `✓ ${tell("real")}`;
    element(`${side}-caption`).textContent = `${NUMBER[side]}: ${verdict}`;
  }
  element("question").dataset.kind = feedback.correct ? "right" : "wrong";
  const number = NUMBER[feedback.fake_side];
  ask(feedback.correct ? `✓ ${tell("feedback_right", { number })}` : `✗ ${tell("feedback_wrong", { number })}`);
  await blank(visit.feedback_ms);
  delete element("question").dataset.kind;
  stage.classList.remove("feedback");
  stage.style.minHeight = "";
  for (const side of SIDES) {
    clear(element(side));
    element(`${side}-caption`).textContent = NUMBER[side];
  }
}

// Returns the server's reply to the answer.
export async function runTrial(visit, index, trial, onAsked) {
  const path = `/api/trials/${index}`;
  const { input } = trial.bitmaps;
  ask(tell("watch"));
  if (input) draw(element("input"), input);
  // The server knows of the exposure before it begins, so none goes uncounted.
  await Promise.all([post(`${path}/shown`, { visit: visit.visit }), blank(trial.gaps_ms[0])]);
  const screen = describeScreen();
  const present = setup.exposure_ms > 0 ? showInTurn : showTogether;
  const answer = await present(trial, onAsked);
  ask("\u00a0");
  if (input) clear(element("input"));
  const reply = await post(`${path}/answer`, { visit: visit.visit, ...answer, ...screen });
  if (reply.feedback) await giveFeedback(visit, trial, reply.feedback);
  for (const bitmap of Object.values(trial.bitmaps)) bitmap?.close();
  return reply;
}
