// The style of the picture: a pad over the two directions of the latent vector that change pictures most.

const FARTHEST = 3; // of the pad's edges from its middle, in standard deviations
const DIGITS = 3;

export class StylePad {
  /**
   * @param {object} elements - box: all of it; pad and knob; across and up: sliders; free: the button
   * @param {{size: number, across: number[], up: number[]} | null} style - what the model says of its latent vector
   * @param {() => void} changed - called after each change that somebody made
   */
  constructor(elements, style, changed) {
    Object.assign(this, elements, { style, changed });
    this.latent = null; // that people have chosen; null where the seed draws one
    this.drawn = null; // of the picture that is shown
    this.box.hidden = !style;
    if (!style) return;
    for (const slider of [this.across, this.up])
      slider.addEventListener("input", () => this.move(Number(this.across.value), Number(this.up.value)));
    this.pad.addEventListener("pointerdown", (event) => (this.pad.setPointerCapture(event.pointerId), this.point(event)));
    this.pad.addEventListener("pointermove", (event) => this.pad.hasPointerCapture(event.pointerId) && this.point(event));
    this.free.addEventListener("click", () => (this.choose(null), this.changed()));
    this.show();
  }

  /** Takes the vector for all that follows; null leaves it to the seed. */
  choose(latent) {
    this.latent = latent;
    if (this.style) this.show();
  }

  /** Learns the vector of the picture that is shown. */
  learn(latent) {
    this.drawn = latent;
    this.show();
  }

  point({ clientX, clientY }) {
    const { left, top, width, height } = this.pad.getBoundingClientRect();
    const place = (share) => FARTHEST * Math.max(-1, Math.min(1, 2 * share - 1));
    this.move(place((clientX - left) / width), -place((clientY - top) / height));
  }

  /** Moves the vector within the plane of the two directions; its other values stay. */
  move(x, y) {
    const { size, across, up } = this.style;
    const start = this.latent ?? this.drawn ?? Array(size).fill(0);
    const [dx, dy] = [x - dot(start, across), y - dot(start, up)];
    this.choose(start.map((value, i) => Number((value + dx * across[i] + dy * up[i]).toFixed(DIGITS))));
    this.changed();
  }

  show() {
    const latent = this.latent ?? this.drawn;
    const [x, y] = latent ? [dot(latent, this.style.across), dot(latent, this.style.up)] : [0, 0];
    this.across.value = x;
    this.up.value = y;
    const percent = (value) => `${50 + 50 * Math.max(-1, Math.min(1, value / FARTHEST))}%`;
    this.knob.style.left = percent(x);
    this.knob.style.top = percent(-y);
    this.box.classList.toggle("chosen", Boolean(this.latent));
    this.free.disabled = !this.latent;
  }
}

const dot = (some, others) => some.reduce((sum, value, i) => sum + value * others[i], 0);
