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

// Scripts may not turn text into HTML here; the browser does it for this kind of request.
function fetchDocumentOnce(path) {
  return new Promise((resolve) => {
    const request = Object.assign(new XMLHttpRequest(), { onloadend: () => resolve(readReply(request)) });
    request.open("GET", path);
    Object.assign(request, { responseType: "document", timeout: TIMEOUT_MS });
    request.send();
  });
}

const readReply = ({ status, response }) => ({ status: status || 503, body: response ?? {} });

async function request(fetchReply) {
  let isWaiting = false;
  try {
    for (let waitMs = 400; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      const { status, body } = await fetchReply();
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

export const get = (path) => request(() => fetchOnce(path, {}));

export const getDocument = (path) => request(() => fetchDocumentOnce(path));

export function post(path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  return request(() => fetchOnce(path, { method: "POST", headers, body: JSON.stringify(body) }));
}
