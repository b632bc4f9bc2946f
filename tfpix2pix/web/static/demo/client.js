// Asks for translations: one at a time, the newest next, and no more often than the server allows a client.
// What was overtaken while it waited is never sent, so an answer never replaces that of a newer question.

const GATHER_MS = 120;
const TIMEOUT_MS = 120_000;
const LONGEST_WAIT_SEC = 8;

export class Client {
  /**
   * @param {(pictures: Blob[], question: object) => Promise<void>} show - called for every answer
   * @param {(state: string, detail: object) => void} report - "waiting"; "done" {modelSec, totalSec}: the newest
   *   question's pictures are shown; "busy" and "away" {text}, tried again by itself; "refused" {text}
   * @param {number} requestsPerSec - that the server allows
   */
  constructor(show, report, requestsPerSec) {
    Object.assign(this, { show, report, gapMs: 1000 / requestsPerSec });
    this.newest = null;
    this.timer = null;
    this.isWorking = false;
    this.earliestMs = 0; // of the next question
  }

  /** @param {{encode: () => Promise<Blob>, noiseSeed: number, samples: number}} question - to be answered soon */
  ask(question) {
    this.newest = question;
    this.report("waiting", {});
    // Not begun anew by every question: who draws without a rest shall see pictures, too.
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.work();
    }, GATHER_MS);
  }

  async work() {
    if (this.isWorking) return;
    this.isWorking = true;
    let failures = 0;
    while (this.newest) {
      const question = this.newest;
      this.newest = null;
      const waitSec = await this.answer(question, failures);
      failures = waitSec ? failures + 1 : 0;
      if (waitSec) this.newest ??= question;
      const pauseMs = Math.max(1000 * waitSec, this.earliestMs - performance.now());
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    this.isWorking = false;
  }

  /** Returns after how many seconds to ask again; 0 when there is an answer. */
  async answer(question, failures) {
    const wait = Math.min(LONGEST_WAIT_SEC, 2 ** failures);
    const start = performance.now();
    let response, answer;
    try {
      response = await this.send(question);
      answer = await response.json();
    } catch {
      this.report("away", { text: "The server does not answer. Trying again…" });
      return wait;
    }
    if (response.ok) {
      const totalSec = (performance.now() - start) / 1000;
      // Shown before anything else is asked: pictures never change places.
      await this.show(answer.pictures.map(decode), question);
      this.reportEnd("done", { modelSec: answer.model_sec, totalSec });
      return 0;
    }
    if (response.status === 503 || response.status === 429) {
      this.report("busy", { text: `${answer.error} Trying again…` });
      return Math.max(wait, Number(response.headers.get("Retry-After")) || 1);
    }
    this.reportEnd("refused", { text: answer.error ?? "The server failed." });
    return 0;
  }

  reportEnd(state, detail) {
    if (!this.newest) this.report(state, detail); // not over a newer drawing's "waiting"
  }

  async send({ encode, noiseSeed, samples }) {
    const body = await (await encode()).arrayBuffer();
    const address = `api/translate?noise_seed=${noiseSeed}&samples=${samples}`;
    const headers = { "Content-Type": "image/png" };
    this.earliestMs = performance.now() + this.gapMs;
    return fetch(address, { method: "POST", body, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  }
}

/** Returns a Blob of a PNG file in base64. */
function decode(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
