// A session of the study: consent, instructions, trial after trial, thanks.

import { blank, clear, draw, expose } from "./presentation.js";
import { Refusal, get, post } from "./requests.js";

const SIDES = ["left", "right"];
const KEYS = { ArrowLeft: "left", ArrowRight: "right", 1: "left", 2: "right" };
const NUMBER = { left: "1", right: "2" };
// Names that platforms give to the same things: Mechanical Turk, Prolific, others.
const PARAMETERS = {
  worker_id: ["workerId", "PROLIFIC_PID", "participantId", "worker_id"],
  assignment_id: ["assignmentId", "SESSION_ID", "assignment_id"],
  hit_id: ["hitId", "STUDY_ID", "hit_id"],
};
const NO_COOKIES = "This browser keeps no cookies. Please allow them for this site, and reload the page.";
const NOT_ACCEPTED = "ASSIGNMENT_ID_NOT_AVAILABLE";

const element = (id) => document.getElementById(id);
const sections = [...document.querySelectorAll("main > section")];

function show(id) {
  for (const section of sections) section.hidden = section.id !== id;
  window.scrollTo(0, 0);
  const heading = element(id).querySelector("h1");
  if (heading && id !== "trial") {
    heading.tabIndex = -1;
    heading.focus();
  }
}

const pressed = (id) =>
  new Promise((resolve) => element(id).addEventListener("click", resolve, { once: true }));

function readLink() {
  const given = new URLSearchParams(window.location.search);
  const ids = {};
  for (const [name, aliases] of Object.entries(PARAMETERS)) {
    ids[name] = aliases.map((alias) => given.get(alias)).find(Boolean) ?? null;
  }
  return ids;
}

const tokenName = (ids) => `token of ${ids.worker_id ?? "nobody"}`;

// The secret of the session that is about to begin. It is kept until the session is open, so that a start
// whose reply was lost is the same start again, after a reload too.
function drawToken(ids) {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const drawn = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    const token = localStorage.getItem(tokenName(ids)) ?? drawn;
    localStorage.setItem(tokenName(ids), token);
    return token;
  } catch {
    throw new Refusal(NO_COOKIES); // where they are blocked, so is this storage
  }
}

// A refusal of what the link holds is final: a reload would not help.
async function decide(reply) {
  try {
    return await reply;
  } catch (refusal) {
    throw Object.assign(refusal, { isFinal: true });
  }
}

async function askConsent(ids) {
  show("consent");
  const isPreviewed = ids.assignment_id === NOT_ACCEPTED;
  element("not-accepted").hidden = !isPreviewed;
  element("agree").disabled = isPreviewed;
  const update = () => (element("start").disabled = !element("agree").checked);
  element("agree").addEventListener("change", update);
  update();
  await pressed("start");
  element("start").disabled = true;
  const viewport = `${Math.round(window.innerWidth)}x${Math.round(window.innerHeight)}`;
  const token = drawToken(ids);
  await decide(post("/api/start", { consent: true, token, ...ids, viewport }));
}

async function openVisit() {
  const ids = readLink();
  const enter = () => decide(post("/api/visit", { worker_id: ids.worker_id }));
  let visit = await enter();
  if (!visit.visit) {
    await askConsent(ids);
    visit = await enter();
    if (!visit.visit) throw new Refusal(NO_COOKIES);
  }
  localStorage.removeItem(tokenName(ids));
  return visit;
}

function count(number, what) {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

async function pause(title, text) {
  element("pause-title").textContent = title;
  element("pause-text").textContent = text;
  show("pause");
  await pressed("go-on");
}

async function introduce(visit) {
  const practice = visit.practice_trials;
  const counted = visit.trials - practice;
  const total = practice ? `${practice} for practice, then ${counted}` : count(counted, "trial");
  if (visit.trial_index === 0) {
    element("begin").textContent = `Begin: ${total}`;
    show("instructions");
    await pressed("begin");
  } else if (visit.trial_index !== practice) {
    const done = `${visit.trial_index} of ${visit.trials}`;
    await pause("Welcome back", `You have answered ${done} trials. The next one starts when you continue.`);
  }
}

// Fetches what the next trial shows, while the person thinks about this one.
async function loadTrial(visit, index) {
  const trial = await get(`/api/trials/${index}?visit=${visit.visit}`);
  const load = async (address) => createImageBitmap(await get(`/images/${address}`));
  return { ...trial, bitmaps: await Promise.all(trial.images.map(load)) };
}

function showProgress(visit, index) {
  const practice = visit.practice_trials;
  const isPractice = index < practice;
  const [number, total] = isPractice ? [index + 1, practice] : [index + 1 - practice, visit.trials - practice];
  element("progress-text").textContent = `${isPractice ? "Practice" : "Trial"} ${number} of ${total}`;
  element("progress").value = (number - 1) / total;
}

function ask(text) {
  element("question").textContent = text;
}

async function present(visit, trial) {
  const shownMs = {};
  for (const [place, side] of SIDES.entries()) {
    if (place > 0) await blank(trial.gaps_ms[place]);
    element("stage").dataset.now = side;
    shownMs[side] = await expose(element(side), trial.bitmaps[place], visit.exposure_ms);
    if (!trial.practice) trial.bitmaps[place].close();
  }
  delete element("stage").dataset.now;
  return shownMs;
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

// Returns the side that the person says is fake, and how long that took.
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

async function giveFeedback(visit, trial, feedback) {
  const stage = element("stage");
  stage.style.minHeight = `${stage.offsetHeight}px`; // so that nothing below moves
  stage.classList.add("feedback");
  for (const [place, side] of SIDES.entries()) {
    draw(element(side), trial.bitmaps[place]);
    const verdict = side === feedback.fake_side ? "✗ fake" : "✓ real";
    element(`${side}-caption`).textContent = `${NUMBER[side]}: ${verdict}`;
  }
  element("question").dataset.kind = feedback.correct ? "right" : "wrong";
  ask(`${feedback.correct ? "✓ Right" : "✗ Wrong"}: image ${NUMBER[feedback.fake_side]} was the fake.`);
  await blank(visit.feedback_ms);
  delete element("question").dataset.kind;
  stage.classList.remove("feedback");
  stage.style.minHeight = "";
  for (const [place, side] of SIDES.entries()) {
    clear(element(side));
    element(`${side}-caption`).textContent = NUMBER[side];
    trial.bitmaps[place].close();
  }
}

// Returns the server's reply to the answer.
async function runTrial(visit, index, trial, loadNext) {
  const path = `/api/trials/${index}`;
  ask("Watch …");
  // The server knows of the exposure before it begins, so none goes uncounted.
  await Promise.all([post(`${path}/shown`, { visit: visit.visit }), blank(trial.gaps_ms[0])]);
  const screen = describeScreen();
  const shownMs = await present(visit, trial);
  ask("Which image is the fake?");
  loadNext();
  const choice = await waitForChoice();
  ask("\u00a0");
  const measured = { left_ms: shownMs.left, right_ms: shownMs.right };
  const reply = await post(`${path}/answer`, { visit: visit.visit, ...choice, ...measured, ...screen });
  if (reply.feedback) await giveFeedback(visit, trial, reply.feedback);
  return reply;
}

// Where two images do not fit side by side at their size, both are shown in one place.
function prepareStage([height, width]) {
  for (const side of SIDES) Object.assign(element(side), { width, height });
  document.documentElement.style.setProperty("--image", `${width}px`);
  const narrow = window.matchMedia(`(max-width: ${2 * width + 100}px)`);
  const update = () => element("stage").classList.toggle("one-place", narrow.matches);
  narrow.addEventListener("change", update);
  update();
}

async function runTrials(visit) {
  prepareStage(visit.image_size);
  let end = visit;
  let loading = loadTrial(visit, visit.trial_index);
  loading.catch(() => {}); // told when it is awaited
  await introduce(visit);
  for (let index = visit.trial_index; index < visit.trials; index++) {
    if (index === visit.practice_trials && index > 0) {
      const rest = count(visit.trials - index, "trial");
      const text = `Now the real part: ${rest}, as before, but you will not be told whether you are right.`;
      await pause("Practice is over", text);
    }
    showProgress(visit, index);
    show("trial");
    ask("Loading …");
    const trial = await loading;
    end = await runTrial(visit, index, trial, () => {
      if (index + 1 < visit.trials) loading = loadTrial(visit, index + 1);
      loading.catch(() => {});
    });
  }
  return end;
}

function thank(end) {
  element("code").textContent = end.completion_code;
  element("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(end.completion_code);
      element("copy").textContent = "Copied";
    } catch {
      window.getSelection().selectAllChildren(element("code"));
    }
  });
  if (end.completion_url) {
    element("return").href = end.completion_url;
    element("return").hidden = false;
  }
  show("thanks");
}

async function main() {
  element("preview").hidden = document.body.dataset.mode !== "preview";
  const visit = await openVisit();
  thank(visit.completion_code ? visit : await runTrials(visit));
}

main().catch((error) => {
  if (error.isFinal) element("stopped-title").textContent = "You cannot take part";
  element("reload").hidden = Boolean(error.isFinal);
  element("stopped-text").textContent = error instanceof Refusal ? error.message : `The page failed: ${error}`;
  element("reload").addEventListener("click", () => window.location.reload());
  show("stopped");
});
