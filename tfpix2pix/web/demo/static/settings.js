// The seed of the noise and the number of samples: two controls for one number, and a button.

import { SEED_RULE, readSeed } from "./link.js";

export class Settings {
  /**
   * @param {object} elements - slider and number, of the seed; problem: for a sentence; four: the button
   * @param {() => void} changed - called after each change that somebody made
   */
  constructor(elements, changed) {
    Object.assign(this, elements, { changed, seed: 0, isFour: false });
    for (const input of [this.slider, this.number]) input.addEventListener("input", () => this.read(input.value));
    this.four.addEventListener("click", () => (this.show(this.seed, !this.isFour), this.changed()));
  }

  show(seed, isFour) {
    Object.assign(this, { seed, isFour });
    this.problem.hidden = true;
    this.slider.value = seed;
    if (this.number.value !== String(seed)) this.number.value = seed;
    this.number.setAttribute("aria-invalid", "false");
    this.four.setAttribute("aria-pressed", String(isFour));
  }

  read(text) {
    const seed = readSeed(text);
    if (seed !== null) return this.show(seed, this.isFour), this.changed();
    this.problem.textContent = `${SEED_RULE} Seed ${this.seed} is still shown.`;
    this.problem.hidden = false;
    this.number.setAttribute("aria-invalid", "true");
  }
}
