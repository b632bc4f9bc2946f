// A drawing in the address: #size=256x256&seed=7&example=b12&ops=..., and style=0.1,-0.7,... where somebody chose one

import { decodeOperations, encodeOperations } from "./operations.js";

const MAX_SEED = 4294967295;
export const SEED_RULE = "A seed is a whole number from 0 to 4,294,967,295.";

/** Returns the seed that a text says; null for anything else. */
export function readSeed(text) {
  const isNumber = /^[0-9]{1,10}$/.test(text.trim());
  return isNumber && Number(text) <= MAX_SEED ? Number(text) : null;
}

/** Returns the fragment that reproduces a document; null when it begins with somebody's own photo. */
export function writeLink({ width, height, base, operations }, { seed, isFour }, latent = null) {
  if (base.kind === "photo") return null;
  const fields = new URLSearchParams({ size: `${width}x${height}`, seed });
  if (isFour) fields.set("samples", 4);
  if (latent) fields.set("style", latent.join(","));
  if (base.kind === "example") fields.set("example", base.name);
  if (operations.length) fields.set("ops", encodeOperations(operations));
  return `#${fields}`;
}

/**
 * Reads a fragment.
 * @returns {{operations, seed, isFour, example, latent} | null} null for an empty one
 * @throws {Error} with a sentence, for one that is not of this model
 */
export function readLink(fragment, model) {
  const fields = new URLSearchParams(fragment.slice(1));
  if (!fields.has("size")) return null;
  const damaged = new Error("The link is damaged, or of another model.");
  if (fields.get("size") !== `${model.width}x${model.height}` || !model.colours.length) throw damaged;
  let operations;
  try {
    operations = decodeOperations(fields.get("ops") ?? "");
  } catch {
    throw damaged;
  }
  if (!operations.every((operation) => isPossible(operation, model))) throw damaged;
  const example = fields.get("example");
  if (example !== null && !model.examples.includes(example))
    throw new Error(`The link begins with the example ${example}, which this server does not have.`);
  const seed = readSeed(fields.get("seed") ?? "0");
  if (seed === null) throw new Error(`The link's seed is ${fields.get("seed").slice(0, 30)}. ${SEED_RULE}`);
  const latent = fields.has("style") && model.style ? fields.get("style").split(",").map(Number) : null;
  if (latent && (latent.length !== model.style.size || !latent.every((value) => Math.abs(value) <= 10))) throw damaged;
  return { operations, example, seed, isFour: fields.get("samples") === "4", latent };
}

function isPossible({ colour, size = 1, points }, { width, height, colours }) {
  const isInside = (value, i) => value >= 0 && value < (i % 2 ? height : width);
  return colour <= colours.length && size >= 1 && size <= 256 && points.length >= 2 && points.every(isInside);
}
