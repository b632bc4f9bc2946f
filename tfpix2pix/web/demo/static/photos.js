// Pictures from files, the clipboard, a drag, or the camera, as pixels.

const MAX_FILE_BYTES = 60_000_000;

/**
 * Returns {width, height, pixels} of an image file, at a size that `fit(width, height)` chooses. `ground` is the colour
 * behind what is transparent; null leaves it transparent, as trainings read files.
 */
export async function readImage(file, fit, isSmooth, ground) {
  if (file.size > MAX_FILE_BYTES) throw new Error("That file is too large.");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Error("That is no image that this browser can read.");
  }
  return readPixels(bitmap, bitmap.width, bitmap.height, fit, isSmooth, ground);
}

function readPixels(picture, pictureWidth, pictureHeight, fit, isSmooth, ground) {
  const [width, height] = fit(pictureWidth, pictureHeight);
  const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  context.imageSmoothingEnabled = isSmooth;
  context.imageSmoothingQuality = "high";
  if (ground) {
    context.fillStyle = ground;
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(picture, 0, 0, width, height);
  return { width, height, pixels: new Uint32Array(context.getImageData(0, 0, width, height).data.buffer) };
}

/** Calls `open(file)` for files that are dropped or images that are pasted, `refuse(sentence)` for other drops. */
export function acceptImages(element, open, refuse) {
  const isImage = (item) => item.type.startsWith("image/");
  const show = (isOver) => element.classList.toggle("dropping", isOver);
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // or the browser would leave the page for the file
    show(true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || show(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    show(false);
    if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
    else refuse("That was no file. Save the picture first, then drop its file here.");
  });
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(isImage);
    if (file) open(file);
  });
}

/** The camera in a dialog; where pages may not use it, the phone's own by way of a file input. */
export class Camera {
  /** @param {object} elements - dialog, video, shoot, cancel: buttons; fallback: input of type file */
  constructor(elements, open) {
    Object.assign(this, elements, { open });
    this.shoot.addEventListener("click", () => this.take());
    this.cancel.addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.stop());
  }

  /** Shows what the camera sees; rejects with a sentence where there is none. */
  async start() {
    if (!navigator.mediaDevices) return this.fallback.click();
    try {
      const video = { facingMode: "environment", width: { ideal: 1280 } };
      this.video.srcObject = await navigator.mediaDevices.getUserMedia({ video });
    } catch (error) {
      const isRefused = error.name === "NotAllowedError";
      throw new Error(isRefused ? "The camera was not allowed." : "No camera was found.");
    }
    this.dialog.showModal();
    await this.video.play();
  }

  take() {
    const { videoWidth: width, videoHeight: height } = this.video;
    const frame = Object.assign(document.createElement("canvas"), { width, height });
    frame.getContext("2d").drawImage(this.video, 0, 0); // once for all sizes: the video ends here
    this.open((fit, isSmooth, ground) => readPixels(frame, width, height, fit, isSmooth, ground));
    this.dialog.close();
  }

  stop() {
    for (const track of this.video.srcObject?.getTracks() ?? []) track.stop();
    this.video.srcObject = null;
  }
}
