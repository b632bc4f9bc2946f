// The pictures that came back, each to be saved, and all of them with their input as one file.

export class Output {
  /**
   * @param {HTMLElement} place - of the figures
   * @param {{width: number, height: number}} size - px, until there is a picture
   * @param {(latent: number[]) => void} keep - called with the latent vector of a sample that somebody wants to keep
   */
  constructor(place, { width, height }, keep) {
    Object.assign(this, { place, width, height, keep });
    this.urls = [];
    this.empty = place.firstElementChild;
    this.clear();
  }

  clear() {
    this.release(this.urls);
    this.urls = [];
    this.input = null;
    this.place.classList.remove("four");
    this.place.style.aspectRatio = `${this.width} / ${this.height}`;
    this.place.replaceChildren(this.empty);
  }

  /** Shows pictures, and keeps the input that they were made of as `input`, an image. */
  async show(pictures, { input, noiseSeed, latents, width, height }) {
    const before = this.urls;
    const urls = (this.urls = [input, ...pictures].map((picture) => URL.createObjectURL(picture)));
    const [shownInput, ...images] = urls.map((src) => Object.assign(new Image(width, height), { src }));
    shownInput.alt = "The input of this output";
    const figures = images.map((image, place) => makeFigure(image, images.length > 1 ? place + 1 : 0, noiseSeed));
    if (latents && images.length > 1) figures.forEach((figure, place) => figure.append(this.makeKeep(place + 1, latents[place])));
    this.place.classList.toggle("four", images.length > 1);
    this.place.style.aspectRatio = `${width} / ${height}`;
    // In one go once they are decoded: no flicker between two pictures.
    await Promise.allSettled([shownInput, ...images].map((image) => image.decode()));
    if (this.urls === urls) {
      this.input = shownInput;
      this.place.replaceChildren(...figures);
    }
    this.release(before);
  }

  makeKeep(number, latent) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "keep", textContent: "Keep" });
    button.title = `Keep the style of sample ${number} and draw on`;
    button.setAttribute("aria-label", button.title);
    button.addEventListener("click", () => this.keep(latent));
    return button;
  }

  /** Whether one picture is shown, and not four samples. */
  get isSingle() {
    return this.place.querySelectorAll("img").length === 1;
  }

  release(urls) {
    urls.forEach((url) => URL.revokeObjectURL(url));
  }

  /** Returns a PNG file of the input and what was made of it, side by side. */
  join() {
    return joinPictures([this.input, ...this.place.querySelectorAll("img")]);
  }
}

/** @param {number} number - of the sample; 0 where there is one only */
function makeFigure(image, number, noiseSeed) {
  const name = number ? `Sample ${number}` : "Output";
  image.alt = `${name}: the translated picture`;
  const link = Object.assign(document.createElement("a"), {
    className: "button save",
    download: `output-seed-${noiseSeed}${number ? `-sample-${number}` : ""}.png`,
    href: image.src,
    title: `Save ${name.toLowerCase()}`,
    textContent: "↓",
  });
  link.setAttribute("aria-label", link.title);
  const figure = document.createElement("figure");
  figure.append(image, link);
  return figure;
}

/** Returns a PNG file of images side by side, each as high as the highest. */
function joinPictures(images) {
  const height = Math.max(...images.map(({ naturalHeight }) => naturalHeight));
  const widths = images.map(({ naturalWidth, naturalHeight }) => Math.round((naturalWidth * height) / naturalHeight));
  const total = widths.reduce((sum, width) => sum + width, 0);
  const canvas = Object.assign(document.createElement("canvas"), { width: total, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  let left = 0;
  for (const [place, image] of images.entries()) {
    context.drawImage(image, left, 0, widths[place], height);
    left += widths[place];
  }
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** Saves a Blob as a file. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
