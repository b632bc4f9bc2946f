// Which tool, which colour, how large: the buttons, the palette, and their keys.

const TOOLS = {
  rectangle: { kind: "rectangle", key: "r" },
  brush: { kind: "stroke", key: "b" },
  fill: { kind: "fill", key: "f" },
  eraser: { kind: "stroke", key: "e" },
};
const BY_SHEET = {
  labels: { tools: ["rectangle", "brush", "fill", "eraser"], first: "rectangle", colour: 1, brush: 14 },
  lines: { tools: ["brush", "rectangle", "eraser"], first: "brush", colour: 1, brush: 2 },
  holes: { tools: ["rectangle", "brush", "eraser"], first: "rectangle", colour: 0, brush: 24 },
  photo: { tools: [], first: null, colour: 0, brush: 1 },
};
const ERASER_PX = 24;

export class Tools {
  /**
   * @param {object} model - as the server describes it
   * @param {object} elements - bar, palette, size, sizeLabel, sizeText
   * @param {(text: string) => void} say - for screen readers
   */
  constructor(model, elements, say) {
    const { tools, first, colour, brush } = BY_SHEET[model.kind];
    Object.assign(this, elements, { model, say, tools, tool: first });
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
    this.size.addEventListener("input", () => this.setSize(Number(this.size.value)));
    this.update();
  }

  /** Returns what the easel draws with: {kind, colour, size}; null without tools. */
  read() {
    if (!this.tool) return null;
    const { kind } = TOOLS[this.tool];
    const colour = this.tool === "eraser" ? this.eraserColour : this.colour;
    return kind === "stroke" ? { kind, colour, size: this.sizes[this.tool] } : { kind, colour };
  }

  /** The empty sheet's colour, or, on a photo, what restores it. */
  get eraserColour() {
    return this.model.kind === "holes" ? this.model.colours.length : 0;
  }

  /** Answers a key; returns whether it meant something. */
  pressKey(key) {
    const tool = this.tools.find((name) => TOOLS[name].key === key.toLowerCase());
    if (tool) this.chooseTool(tool);
    else if (key === "[" || key === "]") this.setSize((this.sizes[this.tool] ?? 0) + (key === "]" ? 2 : -2));
    else if (this.model.kind === "labels" && /^\d$/.test(key)) this.chooseColour((Number(key) + 9) % 10);
    else return false;
    return true;
  }

  chooseTool(name) {
    this.tool = name;
    this.say(`${name} chosen`);
    this.update();
  }

  chooseColour(place) {
    if (place >= this.model.colours.length) return;
    this.colour = place;
    if (this.tool === "eraser") this.tool = "brush";
    this.say(`${this.model.colours[place].name} chosen`);
    this.update();
  }

  setSize(size) {
    if (!(this.tool in this.sizes)) return;
    this.sizes[this.tool] = Math.min(Number(this.size.max), Math.max(1, size));
    this.update();
  }

  buttons() {
    return [...this.bar.querySelectorAll("[data-tool]")];
  }

  update() {
    for (const button of this.buttons())
      button.setAttribute("aria-pressed", String(button.dataset.tool === this.tool));
    const size = this.sizes[this.tool];
    this.size.disabled = size === undefined;
    if (size) this.size.value = size;
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
