// Opens the page with what its address holds, or else with the first example.

import { History } from "./history.js";
import { Page } from "./page.js";

const ANSWER_MS = 15_000;

async function start() {
  const response = await fetch("api/model", { signal: AbortSignal.timeout(ANSWER_MS) });
  const page = new Page(await response.json());
  const { documents, model, turn } = page;
  let document = null;
  let problem = "";
  try {
    document = await page.readLink();
  } catch (error) {
    problem = error.message;
  }
  if (!document && model.examples.length) document = await documents.readExample(model.examples[0]);
  if (turn !== page.turn) return; // somebody was faster
  if (document) page.history = new History(document);
  page.showCurrent();
  if (!problem) return;
  page.showProblem(problem);
  clearTimeout(page.linkTimer); // who wants to mend the address still has it
}

start().catch(() => (document.getElementById("lead").textContent = "The server does not answer. Reload the page to try again."));
