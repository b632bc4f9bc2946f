// What the easel can show: {width, height, base: {kind, name, pixels, read}, operations}. The base is `empty`,
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
  }

  empty() {
    const { width, height } = this.model;
    const base = this.takesPhotos ? { kind: "none", pixels: new Uint32Array(width * height) } : { kind: "empty" };
    return { width, height, base, operations: [] };
  }

  async readExample(name) {
    const response = await fetch(`api/examples/${this.model.examples.indexOf(name)}`);
    if (!response.ok) throw new Error("The example could not be read.");
    const image = await readImage(await response.blob(), (width, height) => [width, height], false);
    return this.begin("example", name, image);
  }

  /** @param {(fit, isSmooth) => Promise<object>} read - gives {width, height, pixels} at the size that fits */
  async readPhoto(read) {
    const image = await read((width, height) => this.fit(width, height), this.model.kind !== "labels");
    return this.begin("photo", "", image, read);
  }

  async readLink({ example, operations }) {
    const document = example === null ? this.empty() : await this.readExample(example);
    return { ...document, operations };
  }

  begin(kind, name, { width, height, pixels }, read) {
    const operations = this.model.center_hole ? [centerHole(width, height)] : [];
    return { width, height, base: { kind, name, pixels, read }, operations };
  }

  fit(width, height) {
    if (!this.takesPhotos) return [this.model.width, this.model.height];
    const scale = this.readSide() / Math.max(width, height);
    return [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  }
}

/** The middle half of the height and of the width, as the model was trained. */
function centerHole(width, height) {
  const [x, y] = [width, height].map((side) => Math.floor((side - Math.floor(side / 2)) / 2));
  const points = [x, y, x + Math.floor(width / 2) - 1, y + Math.floor(height / 2) - 1];
  return { kind: "rectangle", colour: 0, points };
}
