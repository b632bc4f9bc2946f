// Asks for translations: one at a time, the newest next, and no more often than the server allows a page.
// What was overtaken while it waited is never sent, so an answer never replaces that of a newer question.

// Tells this page apart from others behind the same address. It is drawn anew whenever the page is opened.
const PAGE = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const GATHER_MS = 120;
const TIMEOUT_MS = 120_000;
const SLOW_MS = 8000;
const LONGEST_WAIT_SEC = 8;

export class Client {
  /**
   * @param {(pictures: Blob[], question: object) => Promise<void>} show - called for every answer, with the
   *   question, its `input`, a Blob, and the answer's `latents`
   * @param {(state: string, detail: object) => void} report - "waiting"; "done" {modelSec, totalSec}: the newest
   *   question's pictures are shown; "slow" {text}: an answer is still awaited; "busy" and "away" {text}, tried
   *   again by itself; "refused" {text}; "cancelled"
   * @param {number} requestsPerSec - that the server allows
   */
  constructor(show, report, requestsPerSec) {
    Object.assign(this, { show, report, gapMs: 1000 / requestsPerSec });
    this.newest = null;
    this.timer = null;
    this.asking = null; // what aborts the question that is on its way; null when it is cancelled
    this.isWorking = false;
    this.earliestMs = 0; // of the next question
  }

  /**
   * @param {{encode: () => Promise<Blob>, encodeInstances: (() => Promise<Blob>) | null, noiseSeed: number,
   *   samples: number, latent: ?number[]}} question - to be answered soon
   */
  ask(question) {
    this.newest = question;
    this.report("waiting", {});
    // Not begun anew by every question: who draws without a rest shall see pictures, too.
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.work();
    }, GATHER_MS);
  }

  /** Forgets what was asked: it is neither sent nor shown any more. */
  cancel() {
    clearTimeout(this.timer);
    this.timer = this.newest = null;
    this.asking?.abort();
    this.asking = null;
    this.report("cancelled", {});
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

  /** Returns after how many seconds to ask again; 0 when there is an answer, or none is wanted any more. */
  async answer(question, failures) {
    const wait = Math.min(LONGEST_WAIT_SEC, 2 ** failures);
    const start = performance.now();
    this.asking = new AbortController();
    let input, instances;
    try {
      input = await question.encode();
      instances = await question.encodeInstances?.();
    } catch {
      this.reportEnd("refused", { text: "This browser could not make a PNG file of the input." });
      return 0;
    }
    if (!this.asking) return 0;
    // Status 0: nothing came back.
    const nothing = { status: 0, answer: {} };
    const { status, answer, retrySec } = await this.send(question, input, instances, this.asking).catch(() => nothing);
    if (!this.asking) return 0;
    if (status === 200 && answer.pictures) {
      const totalSec = (performance.now() - start) / 1000;
      // Shown before anything else is asked: pictures never change places.
      await this.show(answer.pictures.map(decode), { ...question, input, latents: answer.latents });
      this.reportEnd("done", { modelSec: answer.model_sec, totalSec });
      return 0;
    }
    if (status === 429 || (status === 503 && answer.error)) {
      this.report("busy", { text: `${answer.error ?? "That was too much at once."} Trying again…` });
      return Math.max(wait, retrySec || 1);
    }
    if (status === 0 || (status >= 502 && status <= 504)) {
      this.report("away", { text: "The server does not answer. Trying again…" });
      return wait;
    }
    const text = answer.error ?? `The server gave no picture and no reason, only the status ${status}.`;
    this.reportEnd("refused", { text });
    return 0;
  }

  reportEnd(state, detail) {
    // Not over a newer drawing's "waiting".
    if (this.asking && !this.newest) this.report(state, detail);
  }

  /** Returns what came back; rejects when nothing did. */
  async send({ noiseSeed, samples, latent }, input, instances, asking) {
    const more = (latent ? `&latent=${latent}` : "") + (instances ? `&instances_at=${input.size}` : "");
    const address = `api/translate?page=${PAGE}&noise_seed=${noiseSeed}&samples=${samples}${more}`;
    const headers = { "Content-Type": "image/png" };
    this.earliestMs = performance.now() + this.gapMs;
    const timeout = setTimeout(() => asking.abort(), TIMEOUT_MS);
    const text = `The server has not answered for ${SLOW_MS / 1000} s. This page still waits for it.`;
    const slow = setTimeout(() => this.report("slow", { text }), SLOW_MS);
    try {
      const body = await new Blob(instances ? [input, instances] : [input]).arrayBuffer();
      const response = await fetch(address, { method: "POST", body, headers, signal: asking.signal });
      const answer = parse(await response.text());
      return { status: response.status, answer, retrySec: Number(response.headers.get("Retry-After")) };
    } finally {
      clearTimeout(timeout);
      clearTimeout(slow);
    }
  }
}

/** Returns what JSON says; nothing for what is none, as the page of a proxy. */
function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

/** Returns a Blob of a PNG file in base64. */
function decode(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
