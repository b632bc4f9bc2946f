// What a drawing consists of, and its compact form for links.
//
// {kind: "rectangle", colour, points: [x, y, x, y]}   two corners, both inside
// {kind: "stroke", colour, size, points: [x, y, ...]} size: diameter, px
// {kind: "fill", colour, points: [x, y]}
//
// `colour` is a place in the sheet's colours; the one behind the last restores what was there at first.

const KINDS = ["rectangle", "stroke", "fill"];
const TOLERANCE_PX = 0.6;

/** Returns base64url text of operations: numbers in as few bytes as they need, points as differences. */
export function encodeOperations(operations) {
  const bytes = [];
  const write = (number) => {
    for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) + 128);
    bytes.push(number);
  };
  for (const { kind, colour, size, points } of operations) {
    write(colour * KINDS.length + KINDS.indexOf(kind));
    if (kind === "stroke") write(size), write(points.length / 2);
    points.forEach((value, i) => write(zigzag(i < 2 ? value : value - points[i - 2])));
  }
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Undoes `encodeOperations`; throws for what it never wrote. */
export function decodeOperations(text) {
  const bytes = Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  let place = 0;
  const read = () => {
    let number = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[place++];
      if (byte === undefined || scale > 2 ** 28) throw new Error("The link is damaged.");
      number += (byte % 128) * scale;
      if (byte < 128) return number;
    }
  };
  const operations = [];
  while (place < bytes.length) {
    const head = read();
    const operation = { kind: KINDS[head % KINDS.length], colour: Math.floor(head / KINDS.length) };
    if (operation.kind === "stroke") operation.size = read();
    const count = { rectangle: 2, fill: 1 }[operation.kind] ?? read();
    if (count > bytes.length) throw new Error("The link is damaged.");
    const points = (operation.points = []);
    for (let i = 0; i < 2 * count; i++) points.push(unzigzag(read()) + (i < 2 ? 0 : points[i - 2]));
    operations.push(operation);
  }
  return operations;
}

const zigzag = (number) => (number < 0 ? -2 * number - 1 : 2 * number);
const unzigzag = (number) => (number % 2 ? -(number + 1) / 2 : number / 2);

/** Returns a stroke's points without those that hardly turn it (Douglas and Peucker). */
export function simplify(points) {
  const kept = new Set([0, points.length / 2 - 1]);
  const parts = [[0, points.length / 2 - 1]];
  while (parts.length) {
    const [first, last] = parts.pop();
    let farthest = 0;
    let distance = TOLERANCE_PX;
    for (let i = first + 1; i < last; i++) {
      const d = distanceToSegment(points, i, first, last);
      if (d > distance) [farthest, distance] = [i, d];
    }
    if (farthest) {
      kept.add(farthest);
      parts.push([first, farthest], [farthest, last]);
    }
  }
  return [...kept].sort((a, b) => a - b).flatMap((i) => [points[2 * i], points[2 * i + 1]]);
}

function distanceToSegment(points, i, first, last) {
  const [x0, y0] = [points[2 * first], points[2 * first + 1]];
  const [dx, dy] = [points[2 * last] - x0, points[2 * last + 1] - y0];
  const [px, py] = [points[2 * i] - x0, points[2 * i + 1] - y0];
  const along = dx || dy ? Math.min(1, Math.max(0, (px * dx + py * dy) / (dx * dx + dy * dy))) : 0;
  return Math.hypot(px - along * dx, py - along * dy);
}
