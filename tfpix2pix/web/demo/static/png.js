// Pixels into a PNG file, bit for bit. A canvas would do, but some browsers change pixels that are read
// from it, against tracking, and it forgets colours that are transparent.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let i = 0; i < 8; i++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** Returns a Blob of 8-bit RGBA. */
export function encodePng(width, height, bytes) {
  return encode(width, height, bytes, [8, 6]);
}

/** Returns a Blob of 16-bit gray. @param {Uint16Array} numbers - of the pixels */
export function encodeNumbers(width, height, numbers) {
  const bytes = Uint8Array.from({ length: 2 * numbers.length }, (_, i) => numbers[i >> 1] >> (i % 2 ? 0 : 8));
  return encode(width, height, bytes, [16, 0]);
}

/** @param {number[]} kind - bits of a value, and the type of colour */
async function encode(width, height, bytes, kind) {
  const length = bytes.length / height;
  const rows = new Uint8Array(height * (length + 1)); // before each row, 0: it is not filtered
  for (let y = 0; y < height; y++) rows.set(bytes.subarray(length * y, length * (y + 1)), (length + 1) * y + 1);
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const header = [...bigEndian(width), ...bigEndian(height), ...kind, 0, 0, 0];
  const chunks = [chunk("IHDR", header), chunk("IDAT", packed), chunk("IEND", [])];
  return new Blob([new Uint8Array(SIGNATURE), ...chunks], { type: "image/png" });
}

function chunk(name, contents) {
  const bytes = new Uint8Array(contents.length + 12);
  bytes.set(bigEndian(contents.length));
  bytes.set(Array.from(name, (letter) => letter.charCodeAt(0)), 4);
  bytes.set(contents, 8);
  bytes.set(bigEndian(checksum(bytes.subarray(4, -4))), bytes.length - 4);
  return bytes;
}

function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}

const bigEndian = (number) => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255);
