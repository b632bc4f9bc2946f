// Operations into pixels. Not the canvas's own lines: those blend colours at their edges, and the model
// must see the exact colour of a class.

/** A picture of packed RGBA pixels, what it was before anybody drew, and who has drawn which of them. */
export class Raster {
  /**
   * @param {number} width - px
   * @param {number} height - px
   * @param {{rgb: number[] | null}[]} colours - to draw with; rgb null is transparent
   * @param {Uint32Array | null} base - what to draw on; null is the first colour
   */
  constructor(width, height, colours, base) {
    Object.assign(this, { width, height });
    this.packed = colours.map(({ rgb }) => (rgb ? pack([...rgb, 255]) : 0));
    this.base = base ?? new Uint32Array(width * height).fill(this.packed[0]);
    this.pixels = this.base.slice();
    this.objects = new Uint16Array(width * height); // 0 where nobody drew
    this.object = 0; // what draws now
    this.classes = new Map(this.packed.map((value, place) => [value, place]));
  }

  /** Paints an operation as an object of this number; the first colour takes objects away. */
  paint({ kind, colour, size, points }, object) {
    this.object = colour ? object : 0;
    if (kind === "rectangle") this.paintRectangle(colour, ...points);
    if (kind === "stroke") this.paintStroke(colour, size, points);
    if (kind === "fill") this.paintFill(colour, ...points);
  }

  paintRectangle(colour, x0, y0, x1, y1) {
    for (let y = Math.min(y0, y1); y <= Math.max(y0, y1); y++)
      this.paintSpan(colour, y, Math.min(x0, x1), Math.max(x0, x1));
  }

  paintStroke(colour, size, points) {
    const disc = makeDisc(size);
    const stamp = (x, y) => {
      for (const [dy, from, to] of disc) this.paintSpan(colour, y + dy, x + from, x + to);
    };
    stamp(points[0], points[1]);
    for (let i = 2; i < points.length; i += 2)
      walkLine(points[i - 2], points[i - 1], points[i], points[i + 1], stamp);
  }

  /** Paints the connected pixels of one class around a pixel. */
  paintFill(colour, x, y) {
    const { width, height } = this;
    const wanted = this.classAt(x, y);
    const seen = new Uint8Array(width * height);
    const isInside = (x, y) => !seen[y * width + x] && this.classAt(x, y) === wanted;
    const spans = [];
    const waiting = [[x, y]];
    while (waiting.length) {
      const [x, y] = waiting.pop();
      if (!isInside(x, y)) continue;
      let [from, to] = [x, x];
      while (from > 0 && isInside(from - 1, y)) from--;
      while (to < width - 1 && isInside(to + 1, y)) to++;
      seen.fill(1, y * width + from, y * width + to + 1);
      spans.push([y, from, to]);
      for (const next of [y - 1, y + 1])
        for (let x = from; next >= 0 && next < height && x <= to; x++)
          if (isInside(x, next) && (x === from || !isInside(x - 1, next))) waiting.push([x, next]);
    }
    for (const span of spans) this.paintSpan(colour, ...span);
  }

  paintSpan(colour, y, from, to) {
    if (y < 0 || y >= this.height || to < 0 || from >= this.width) return;
    const first = y * this.width + Math.max(from, 0);
    const end = y * this.width + Math.min(to, this.width - 1) + 1;
    this.objects.fill(this.object, first, end);
    if (colour < this.packed.length) this.pixels.fill(this.packed[colour], first, end);
    else this.pixels.set(this.base.subarray(first, end), first);
  }

  /** Returns the instance of each pixel: an object, or where nobody drew, the class. */
  readInstances() {
    const { width, packed } = this;
    const find = (object, i) => (object ? packed.length + object - 1 : this.classAt(i % width, Math.floor(i / width)));
    return this.objects.map(find);
  }

  /** Returns the place of the colour that is nearest to a pixel's: examples come through JPEG. */
  classAt(x, y) {
    const value = this.pixels[y * this.width + x];
    if (!this.classes.has(value)) this.classes.set(value, this.findNearest(value));
    return this.classes.get(value);
  }

  findNearest(value) {
    const [red, green, blue] = unpack(value);
    const distances = this.packed.map((colour) => {
      const [r, g, b] = unpack(colour);
      return (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
    });
    return distances.indexOf(Math.min(...distances));
  }

  /** Returns what `restore` brings back. */
  copy() {
    return { pixels: this.pixels.slice(), objects: this.objects.slice() };
  }

  restore({ pixels, objects }) {
    this.pixels.set(pixels);
    this.objects.set(objects);
  }

  /** Returns the pixels as bytes: red, green, blue, alpha. */
  get bytes() {
    return new Uint8ClampedArray(this.pixels.buffer);
  }
}

const pack = (rgba) => new Uint32Array(new Uint8Array(rgba).buffer)[0];
const unpack = (value) => new Uint8Array(new Uint32Array([value]).buffer);

/** Returns the rows [dy, from, to] of a disc of so many px across. */
function makeDisc(size) {
  const rows = [];
  const first = -Math.floor((size - 1) / 2);
  const middle = first + (size - 1) / 2;
  for (let dy = first; dy < first + size; dy++) {
    const reach = Math.sqrt(Math.max(0, (size / 2) ** 2 - (dy - middle) ** 2));
    const [from, to] = [Math.ceil(middle - reach), Math.floor(middle + reach)];
    if (from <= to) rows.push([dy, from, to]);
  }
  return rows;
}

/** Visits the pixels from one to another (Bresenham). */
function walkLine(x, y, x1, y1, visit) {
  const [dx, dy] = [Math.abs(x1 - x), -Math.abs(y1 - y)];
  const [sx, sy] = [Math.sign(x1 - x), Math.sign(y1 - y)];
  for (let error = dx + dy; x !== x1 || y !== y1; ) {
    const twice = 2 * error;
    if (twice >= dy) (error += dy), (x += sx);
    if (twice <= dx) (error += dx), (y += sy);
    visit(x, y);
  }
}
