// Which tool, which colour, how large: the buttons, the palette, and their keys.

// `size` names the size that a tool has.
const TOOLS = {
  rectangle: { kind: "rectangle", key: "r" },
  brush: { kind: "stroke", key: "b", size: "brush" },
  line: { kind: "stroke", key: "l", size: "brush", isStraight: true },
  fill: { kind: "fill", key: "f" },
  eraser: { kind: "stroke", key: "e", size: "eraser" },
  pick: { kind: "pick", key: "i" },
};
const BY_SHEET = {
  labels: { tools: ["rectangle", "brush", "line", "fill", "eraser", "pick"], first: "rectangle", colour: 1, brush: 14 },
  lines: { tools: ["brush", "line", "rectangle", "eraser"], first: "brush", colour: 1, brush: 2 },
  holes: { tools: ["rectangle", "brush", "line", "eraser"], first: "rectangle", colour: 0, brush: 24 },
  photo: { tools: [], first: null, colour: 0, brush: 1 },
};
const ERASER_PX = 24;

export class Tools {
  /**
   * @param {object} model - as the server describes it
   * @param {object} elements - bar, palette, sizeInput, sizeLabel, sizeText
   * @param {(text: string) => void} say - for screen readers
   */
  constructor(model, elements, say) {
    const { tools, first, colour, brush } = BY_SHEET[model.kind];
    Object.assign(this, elements, { model, say, tools, tool: first, toolBefore: first });
    this.colour = Math.min(colour, model.colours.length - 1);
    this.sizes = { brush, eraser: ERASER_PX };
    this.bar.hidden = this.sizeLabel.hidden = !tools.length;
    this.palette.hidden = model.kind !== "labels";
    for (const button of this.buttons()) {
      button.hidden = !tools.includes(button.dataset.tool);
      button.addEventListener("click", () => this.chooseTool(button.dataset.tool));
    }
    if (model.kind === "lines") this.bar.querySelector("[data-tool=brush] .name").textContent = "Pen";
    this.fillPalette();
    this.sizeInput.addEventListener("input", () => this.setSize(Number(this.sizeInput.value)));
    this.update();
  }

  /** Returns what the easel draws with: {kind, colour, size, isStraight}; null without tools. */
  read() {
    if (!this.tool) return null;
    const { kind, size, isStraight } = TOOLS[this.tool];
    const colour = this.tool === "eraser" ? this.eraserColour : this.colour;
    return size ? { kind, colour, size: this.sizes[size], isStraight } : { kind, colour };
  }

  /** Returns the key and the name of each tool. */
  describe() {
    const nameOf = (tool) => this.bar.querySelector(`[data-tool=${tool}] .name`).textContent;
    return this.tools.map((tool) => ({ key: TOOLS[tool].key.toUpperCase(), name: nameOf(tool) }));
  }

  /** The empty sheet's colour, or, on a photo, what restores it. */
  get eraserColour() {
    return this.model.kind === "holes" ? this.model.colours.length : 0;
  }

  /** Answers a key; returns whether it meant something. */
  pressKey(key) {
    const tool = this.tools.find((name) => TOOLS[name].key === key.toLowerCase());
    if (tool) this.chooseTool(tool);
    else if (key === "[" || key === "]") this.setSize((this.size ?? 0) + (key === "]" ? 2 : -2));
    else if (this.model.kind === "labels" && /^\d$/.test(key)) this.chooseColour((Number(key) + 9) % 10);
    else return false;
    return true;
  }

  chooseTool(name) {
    if (this.tool !== "pick") this.toolBefore = this.tool;
    this.tool = name;
    this.say(`${name} chosen`);
    this.update();
  }

  chooseColour(place) {
    if (place >= this.model.colours.length) return;
    this.colour = place;
    if (this.tool === "pick") this.tool = this.toolBefore;
    if (this.tool === "eraser") this.tool = "brush";
    this.say(`${this.model.colours[place].name} chosen`);
    this.update();
  }

  /** Chooses a class that was picked from the drawing, where there is a palette. */
  pick(place) {
    if (this.tools.includes("pick")) this.chooseColour(place);
  }

  /** The size of the tool, px; undefined for tools without one. */
  get size() {
    return this.sizes[TOOLS[this.tool]?.size];
  }

  setSize(size) {
    if (!this.size) return;
    this.sizes[TOOLS[this.tool].size] = Math.min(Number(this.sizeInput.max), Math.max(1, size));
    this.update();
  }

  buttons() {
    return [...this.bar.querySelectorAll("[data-tool]")];
  }

  update() {
    for (const button of this.buttons())
      button.setAttribute("aria-pressed", String(button.dataset.tool === this.tool));
    const { size } = this;
    this.sizeInput.disabled = size === undefined;
    if (size) this.sizeInput.value = size;
    this.sizeText.textContent = size ? `${size} px` : "";
    [...this.palette.children].forEach((radio, place) => {
      radio.setAttribute("aria-checked", String(place === this.colour));
      radio.tabIndex = place === this.colour ? 0 : -1;
    });
  }

  fillPalette() {
    if (this.model.kind !== "labels") return;
    this.model.colours.forEach(({ name, rgb }, place) => {
      const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
      swatch.style.background = `rgb(${rgb})`;
      const radio = Object.assign(document.createElement("button"), { type: "button", className: "class" });
      radio.setAttribute("role", "radio");
      radio.append(swatch, name);
      if (place < 10) radio.title = `${name}, key ${(place + 1) % 10}`;
      radio.addEventListener("click", () => this.chooseColour(place));
      this.palette.append(radio);
    });
    this.palette.addEventListener("keydown", (event) => this.moveInPalette(event));
  }

  moveInPalette(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const count = this.model.colours.length;
    this.chooseColour((this.colour + step + count) % count);
    this.palette.children[this.colour].focus();
  }
}
