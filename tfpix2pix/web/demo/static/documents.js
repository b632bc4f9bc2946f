// What the easel can show: {width, height, base: {kind, name, pixels, read}, operations, note}. The note is a
// sentence for the person. The base is `empty`,
// `none` (a photo is yet to come), an `example` of the server's, or somebody's own `photo`; `read` gives a photo
// again, at another size.

import { readImage } from "./photos.js";

export class Documents {
  /**
   * @param {object} model - as the server describes it
   * @param {() => number} readSide - how long the longer side of a photo shall be, px
   */
  constructor(model, readSide) {
    Object.assign(this, { model, readSide });
    this.takesPhotos = model.kind === "photo" || model.kind === "holes";
    this.ground = model.kind === "lines" ? "white" : null; // Drawings may have nothing but their lines.
  }

  empty() {
    const { width, height } = this.model;
    const base = this.takesPhotos ? { kind: "none", pixels: new Uint32Array(width * height) } : { kind: "empty" };
    return { width, height, base, operations: [] };
  }

  async readExample(name) {
    const response = await fetch(`api/examples/${this.model.examples.indexOf(name)}`);
    if (!response.ok) throw new Error("The example could not be read.");
    const image = await readImage(await response.blob(), (width, height) => [width, height], false, this.ground);
    return this.begin("example", name, image);
  }

  /** @param {(fit, isSmooth, ground) => Promise<object>} read - gives {width, height, pixels} at the size that fits */
  async readPhoto(read) {
    let note = "";
    const fit = (width, height) => {
      note = this.judge(width, height);
      return this.fit(width, height);
    };
    const image = await read(fit, this.model.kind !== "labels", this.ground);
    return { ...this.begin("photo", "", image, read), note };
  }

  async readLink({ example, operations }) {
    const document = example === null ? this.empty() : await this.readExample(example);
    return { ...document, operations };
  }

  begin(kind, name, { width, height, pixels }, read) {
    const hasHoles = pixels.some((pixel) => pixel >>> 24 === 0);
    const operations = this.model.center_hole && !hasHoles ? [centerHole(width, height)] : [];
    return { width, height, base: { kind, name, pixels, read }, operations };
  }

  /** Returns what to say of an image of another size than the model's; nothing for what translates as it is. */
  judge(width, height) {
    const own = `${this.model.width} x ${this.model.height} px`;
    const isSmall = width < this.model.width / 2 || height < this.model.height / 2;
    if (this.takesPhotos)
      return isSmall
        ? `The photo has only ${width} x ${height} px. The model was trained on ${own}, so expect a coarse picture.`
        : "";
    const isStretched = Math.abs((width * this.model.height) / (height * this.model.width) - 1) > 0.02;
    return isStretched ? `The image has ${width} x ${height} px and was stretched to the model's ${own}.` : "";
  }

  fit(width, height) {
    if (!this.takesPhotos) return [this.model.width, this.model.height];
    const resize = (scale, settle) => [width, height].map((side) => Math.max(1, settle(side * scale)));
    const wanted = resize(this.readSide() / Math.max(width, height), Math.round);
    const most = this.model.max_pixels;
    return wanted[0] * wanted[1] <= most ? wanted : resize(Math.sqrt(most / (width * height)), Math.floor);
  }
}

/** The middle half of the height and of the width, as the model was trained. */
function centerHole(width, height) {
  const [x, y] = [width, height].map((side) => Math.floor((side - Math.floor(side / 2)) / 2));
  const points = [x, y, x + Math.floor(width / 2) - 1, y + Math.floor(height / 2) - 1];
  return { kind: "rectangle", colour: 0, points };
}
