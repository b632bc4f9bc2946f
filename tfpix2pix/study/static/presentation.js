// Showing an image for a given time, counted in the frames that the screen really draws.

export const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

// Waits for at least so long; returns at the start of a frame.
export async function blank(ms) {
  const start = performance.now();
  let now = await nextFrame();
  while (now - start < ms) now = await nextFrame();
}

export function draw(canvas, bitmap) {
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
}

export function clear(canvas) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

// Draws the image in one frame and clears it in the frame nearest to `ms` later.
// Returns the time between the two frames, ms.
export async function expose(canvas, bitmap, ms) {
  const shown = await nextFrame();
  draw(canvas, bitmap);
  let previous = shown;
  let now = await nextFrame();
  // Half a frame early is nearer than half a frame late.
  while (now - shown < ms - Math.min(now - previous, 50) / 2) {
    previous = now;
    now = await nextFrame();
  }
  clear(canvas);
  return now - shown;
}
