// The input over the output, up to a line that is moved.

export class Comparison {
  /** @param {object} elements - button; layer: lies over the output; slider: in the layer */
  constructor(elements) {
    Object.assign(this, elements);
    this.isOn = false;
    this.input = null;
    this.button.addEventListener("click", () => ((this.isOn = !this.isOn), this.update()));
    this.slider.addEventListener("input", () => this.update());
  }

  /** @param {HTMLImageElement | null} input - of the one picture that is shown; null if there is none, or four */
  show(input) {
    this.input?.remove();
    this.input = input;
    if (input) this.layer.prepend(input);
    this.update();
  }

  update() {
    this.button.disabled = !this.input;
    this.button.setAttribute("aria-pressed", String(this.isOn));
    this.layer.hidden = !this.isOn || !this.input;
    this.layer.style.setProperty("--split", `${this.slider.value}%`);
  }
}
