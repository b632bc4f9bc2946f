// Requests to the server of the study: a lost connection is waited out, a refusal is an error.

const TIMEOUT_MS = 15000;
const LONGEST_WAIT_MS = 5000;
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

let waiting = 0;

// Its message is for the person.
export class Refusal extends Error {}

function showConnection(change) {
  waiting += change;
  document.getElementById("connection").hidden = waiting === 0;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits before the next try, but no longer than until the network is back.
function waitForNetwork(ms) {
  const online = new Promise((resolve) => window.addEventListener("online", resolve, { once: true }));
  return Promise.race([sleep(ms), online]);
}

async function fetchOnce(path, options) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
  try {
    const response = await fetch(path, { ...options, signal: stop.signal });
    // Read in here: a connection can be lost between the headers and the body.
    const isImage = response.ok && response.headers.get("Content-Type") === "image/png";
    return { status: response.status, body: await (isImage ? response.blob() : response.json()) };
  } catch {
    return { status: 503, body: {} };
  } finally {
    clearTimeout(timer);
  }
}

async function request(path, options) {
  let isWaiting = false;
  try {
    for (let waitMs = 400; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      const { status, body } = await fetchOnce(path, options);
      if (status < 300) return body;
      if (!PASSING.has(status)) throw new Refusal(body.error);
      if (!isWaiting) showConnection(+1);
      isWaiting = true;
      await waitForNetwork(waitMs);
    }
  } finally {
    if (isWaiting) showConnection(-1);
  }
}

export const get = (path) => request(path, {});

export const post = (path, body = {}) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
