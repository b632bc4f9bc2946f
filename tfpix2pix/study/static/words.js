// What the server has put into the page: its words, and what the study is like.

export const setup = JSON.parse(document.getElementById("setup").textContent);

// Returns a text; `{name}` in it stands for a value.
export function tell(key, values = {}) {
  return setup.texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
