// The pictures that came back, each to be saved.

export class Output {
  /**
   * @param {HTMLElement} place - of the figures
   * @param {{width: number, height: number}} size - px, until there is a picture
   */
  constructor(place, { width, height }) {
    Object.assign(this, { place, width, height });
    this.urls = [];
    this.empty = place.firstElementChild;
    this.clear();
  }

  clear() {
    this.urls.forEach((url) => URL.revokeObjectURL(url));
    this.urls = [];
    this.place.classList.remove("four");
    this.place.style.aspectRatio = `${this.width} / ${this.height}`;
    this.place.replaceChildren(this.empty);
  }

  show(pictures, { noiseSeed, width, height }) {
    const before = this.urls;
    const urls = (this.urls = pictures.map((picture) => URL.createObjectURL(picture)));
    const figures = urls.map((url, place) => {
      const number = pictures.length > 1 ? place + 1 : 0;
      const name = number ? `Sample ${number}` : "Output";
      const image = Object.assign(new Image(width, height), { src: url, alt: `${name}: the translated picture` });
      const link = Object.assign(document.createElement("a"), {
        className: "button save",
        download: `output-seed-${noiseSeed}${number ? `-sample-${number}` : ""}.png`,
        href: url,
        title: `Save ${name.toLowerCase()}`,
        textContent: "↓",
      });
      link.setAttribute("aria-label", link.title);
      const figure = document.createElement("figure");
      figure.append(image, link);
      return [image.decode(), figure];
    });
    this.place.classList.toggle("four", pictures.length > 1);
    this.place.style.aspectRatio = `${width} / ${height}`;
    // In one go once they are decoded: no flicker between two pictures.
    return Promise.allSettled(figures.map(([decoded]) => decoded)).then(() => {
      if (this.urls === urls) this.place.replaceChildren(...figures.map(([, figure]) => figure));
      before.forEach((url) => URL.revokeObjectURL(url));
    });
  }
}

/** Returns a PNG file of pictures side by side, each as high as the highest. */
export function joinPictures(pictures) {
  const sizes = pictures.map(({ naturalWidth, naturalHeight, width, height }) => [
    naturalWidth ?? width,
    naturalHeight ?? height,
  ]);
  const height = Math.max(...sizes.map(([, each]) => each));
  const widths = sizes.map(([width, each]) => Math.round((width * height) / each));
  const total = widths.reduce((sum, width) => sum + width, 0);
  const canvas = Object.assign(document.createElement("canvas"), { width: total, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  let left = 0;
  for (const [place, picture] of pictures.entries()) {
    context.drawImage(picture, left, 0, widths[place], height);
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
