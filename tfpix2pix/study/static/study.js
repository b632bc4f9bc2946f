// A session of the study: consent, instructions, trial after trial, questions, thanks.

import { askQuestions } from "./questions.js";
import { Refusal, getDocument, post } from "./requests.js";
import { ask, loadTrial, prepareStage, runTrial } from "./trial.js";
import { setup, tell } from "./words.js";

// Names that platforms give to the same things: Mechanical Turk, Prolific, others.
const PARAMETERS = {
  worker_id: ["workerId", "PROLIFIC_PID", "participantId", "worker_id"],
  assignment_id: ["assignmentId", "SESSION_ID", "assignment_id"],
  hit_id: ["hitId", "STUDY_ID", "hit_id"],
};
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
    throw new Refusal(tell("refused_no_cookies")); // where they are blocked, so is this storage
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

function showReturn(id, url) {
  if (!url) return;
  element(id).href = url;
  element(id).hidden = false;
}

async function askConsent(ids) {
  show("consent");
  element("decline").addEventListener("click", () => {
    showReturn("return-declined", setup.decline_url);
    show("declined");
  });
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
    if (!visit.visit) throw new Refusal(tell("refused_no_cookies"));
  }
  localStorage.removeItem(tokenName(ids));
  return visit;
}

async function pause(title, text) {
  element("pause-title").textContent = title;
  element("pause-text").textContent = text;
  show("pause");
  await pressed("go-on");
}

async function introduce(visit) {
  const practice = visit.practice_trials;
  const trials = visit.trials - practice;
  if (visit.trial_index === 0) {
    element("begin").textContent = practice ? tell("begin_practice", { practice, trials }) : tell("begin", { trials });
    show("instructions");
    await pressed("begin");
  } else if (visit.trial_index !== practice) {
    const text = tell("welcome_back", { done: visit.trial_index, trials: visit.trials });
    await pause(tell("welcome_back_title"), text);
  }
}

function showProgress(visit, index) {
  const practice = visit.practice_trials;
  const isPractice = index < practice;
  const [number, total] = isPractice ? [index + 1, practice] : [index + 1 - practice, visit.trials - practice];
  element("progress-text").textContent = tell(isPractice ? "practice_progress" : "trial_progress", { number, total });
  element("progress").value = (number - 1) / total;
}

async function runTrials(visit) {
  prepareStage(visit.image_size);
  let end = visit;
  let loading = loadTrial(visit, visit.trial_index);
  loading.catch(() => {}); // told when it is awaited
  await introduce(visit);
  for (let index = visit.trial_index; index < visit.trials; index++) {
    if (index === visit.practice_trials && index > 0) {
      const key = setup.has_feedback ? "practice_over" : "practice_over_preference";
      await pause(tell("practice_over_title"), tell(key, { trials: visit.trials - index }));
    }
    showProgress(visit, index);
    show("trial");
    ask(tell("loading"));
    const trial = await loading;
    end = await runTrial(visit, index, trial, () => {
      if (index + 1 < visit.trials) loading = loadTrial(visit, index + 1);
      loading.catch(() => {});
    });
  }
  return end;
}

async function thank(end) {
  element("code").textContent = end.completion_code;
  element("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(end.completion_code);
      element("copy").textContent = tell("code_copied");
    } catch {
      window.getSelection().selectAllChildren(element("code"));
    }
  });
  showReturn("return", end.completion_url);
  show("thanks");
  const debriefing = await getDocument("/debriefing");
  element("debriefing").hidden = debriefing.body.children.length === 0;
  element("debriefing").append(...debriefing.body.children);
}

async function main() {
  element("preview").hidden = document.body.dataset.mode !== "preview";
  const visit = await openVisit();
  let end = visit.trial_index < visit.trials ? await runTrials(visit) : visit;
  if (end.exit_questions.length > 0) {
    show("exit");
    end = await askQuestions(end.exit_questions);
  }
  await thank(end);
}

main().catch((error) => {
  if (error.isFinal) {
    element("stopped-title").textContent = tell("cannot_title");
    showReturn("return-refused", setup.screen_out_url);
  }
  element("reload").hidden = Boolean(error.isFinal);
  element("stopped-text").textContent = error instanceof Refusal ? error.message : tell("page_failed", { error });
  element("reload").addEventListener("click", () => window.location.reload());
  show("stopped");
});
