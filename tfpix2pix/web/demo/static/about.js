// What the model is, and the keys of the page's tools: lists that the server's description decides.

/**
 * Fills a list of definitions with what the server tells of the model.
 * @param {HTMLElement} list
 * @param {{name: string, text: string, url: string}[]} facts
 */
export function listFacts(list, facts) {
  for (const { name, text, url } of facts) {
    const [row, term, value] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
    const link = Object.assign(document.createElement("a"), { href: url, textContent: text, rel: "noreferrer" });
    value.append(url ? link : text);
    term.textContent = name;
    row.append(term, value);
    list.append(row);
  }
}

/**
 * Lists the tools that there are, and their keys.
 * @param {HTMLElement} keys
 * @param {HTMLElement} names
 * @param {{key: string, name: string}[]} tools
 */
export function listKeys(keys, names, tools) {
  const caps = tools.map(({ key }) => Object.assign(document.createElement("kbd"), { textContent: key }));
  keys.append(...caps.flatMap((cap) => [cap, " "]));
  names.textContent = tools.map(({ name }) => name.toLowerCase()).join(", ");
}
