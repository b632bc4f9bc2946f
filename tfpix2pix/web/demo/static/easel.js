// The canvas: pointers and keys become operations, operations become pixels.

import { simplify } from "./operations.js";
import { Raster } from "./raster.js";

const STEP_PX = 8;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Easel {
  /**
   * @param {HTMLCanvasElement} canvas - to draw on
   * @param {HTMLElement} cursor - laid over it, shows where and how large the tool is
   * @param {object} options - colours of the sheet; readTool() gives {kind, colour, size, isStraight}, or null
   *   without tools; changed() is called after each change, finished(operation) at the end of one, pick(colour)
   *   for one that is picked, say(text) for what a screen reader shall read
   */
  constructor(canvas, cursor, options) {
    Object.assign(this, { canvas, cursor }, options);
    this.context = canvas.getContext("2d");
    this.place = null; // of the keyboard's cursor
    this.operation = null;
    this.listen();
  }

  /** Shows a document: {width, height, base: {pixels}, operations}. */
  show({ width, height, base, operations }) {
    this.operation = null;
    this.raster = new Raster(width, height, this.colours, base.pixels);
    operations.forEach((operation, i) => this.raster.paint(operation, i + 1));
    this.object = operations.length + 1; // each operation draws an object of its own
    Object.assign(this.canvas, { width, height });
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    this.place = this.clamp(...(this.place ?? [width >> 1, height >> 1]));
    this.put();
  }

  put() {
    const { width, height, bytes } = this.raster;
    this.context.putImageData(new ImageData(bytes, width, height), 0, 0);
  }

  nameAt(x, y) {
    return this.colours.length > 1 ? this.colours[this.raster.classAt(x, y)].name : "";
  }

  begin(x, y) {
    const { isStraight = false, ...tool } = this.readTool() ?? {};
    if (tool.kind === "pick") return this.pick(this.raster.classAt(x, y));
    if (!tool.kind) return;
    const points = tool.kind === "rectangle" ? [x, y, x, y] : [x, y];
    this.operation = { ...tool, points };
    this.isStraight = isStraight;
    this.before = this.raster.copy();
    this.repaint();
  }

  extend(x, y, isStraight = this.isStraight) {
    const { kind, points } = this.operation;
    if (kind === "fill" || (points.at(-2) === x && points.at(-1) === y)) return;
    if (kind === "rectangle" || isStraight) points.splice(2, Infinity, x, y);
    else points.push(x, y);
    this.repaint();
  }

  finish() {
    const operation = this.operation;
    if (!operation) return;
    if (operation.kind === "stroke") operation.points = simplify(operation.points);
    this.repaint(); // from the points that are kept: a link shows the same pixels
    this.operation = null;
    this.finished(operation);
  }

  cancel() {
    if (!this.operation) return;
    this.operation = null;
    this.raster.restore(this.before);
    this.put();
    this.changed();
  }

  repaint() {
    this.raster.restore(this.before);
    this.raster.paint(this.operation, this.object);
    this.put();
    this.changed();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button || !event.isPrimary || this.operation) return;
      canvas.focus({ preventScroll: true, focusVisible: false });
      canvas.setPointerCapture(event.pointerId);
      if (event.altKey && this.readTool()) this.pick(this.raster.classAt(...this.locate(event)));
      else this.begin(...this.locate(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      this.showPointer(event);
      if (!this.operation || !canvas.hasPointerCapture(event.pointerId)) return;
      const events = event.getCoalescedEvents?.() ?? [];
      const isStraight = this.isStraight || event.shiftKey;
      for (const each of events.length ? events : [event]) this.extend(...this.locate(each), isStraight);
    });
    canvas.addEventListener("pointerup", () => this.finish());
    canvas.addEventListener("pointercancel", () => this.cancel());
    canvas.addEventListener("pointerleave", () => this.hideCursor());
    canvas.addEventListener("keydown", (event) => this.pressKey(event));
    canvas.addEventListener("blur", () => (this.finish(), this.hideCursor()));
  }

  locate({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const x = Math.floor(((clientX - left) / width) * this.raster.width);
    const y = Math.floor(((clientY - top) / height) * this.raster.height);
    return this.clamp(x, y);
  }

  clamp(x, y) {
    const { width, height } = this.raster;
    return [Math.min(width - 1, Math.max(0, x)), Math.min(height - 1, Math.max(0, y))];
  }

  pressKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.readTool()) return;
    const arrow = ARROWS[event.key];
    if (arrow) this.moveCursor(arrow, event.shiftKey ? 1 : STEP_PX);
    else if (event.key === " " || event.key === "Enter") this.pressTool(event.repeat);
    else if (event.key === "Escape" && this.operation) this.cancel(), this.say("Taken back.");
    else return;
    event.preventDefault();
  }

  moveCursor([dx, dy], step) {
    const [x, y] = (this.place = this.clamp(this.place[0] + dx * step, this.place[1] + dy * step));
    if (this.operation) this.extend(x, y);
    this.showCursor(x, y, true);
    this.say([`${x}, ${y}`, this.nameAt(x, y)].filter(Boolean).join(": "));
  }

  pressTool(isRepeated) {
    if (isRepeated) return;
    const [x, y] = this.place;
    this.showCursor(x, y, true);
    if (this.operation) return this.finish(), this.say("Done.");
    this.begin(x, y);
    if (!this.operation) return; // a class was picked
    if (this.operation.kind === "fill") return this.finish(), this.say("Filled.");
    this.say("Drawing: arrow keys go on, space ends, escape takes back.");
  }

  showPointer(event) {
    if (event.pointerType === "touch" || !this.readTool()) return this.hideCursor();
    this.showCursor(...this.locate(event), false);
  }

  showCursor(x, y, isCross) {
    const { width, height } = this.raster;
    const { size = 1 } = this.readTool(); // px
    const style = this.cursor.style;
    style.left = `${(100 * (x + 0.5)) / width}%`;
    style.top = `${(100 * (y + 0.5)) / height}%`;
    style.width = `${(100 * size) / width}%`;
    this.cursor.classList.toggle("cross", isCross);
    this.cursor.hidden = false;
  }

  hideCursor() {
    this.cursor.hidden = true;
  }
}
