// The page: what people do with the drawing, and what becomes of it.

import { listFacts, listKeys } from "./about.js";
import { Client } from "./client.js";
import { Comparison } from "./comparison.js";
import { Documents } from "./documents.js";
import { Easel } from "./easel.js";
import { History } from "./history.js";
import { readLink, writeLink } from "./link.js";
import { Output, save } from "./output.js";
import { acceptImages, Camera, readImage } from "./photos.js";
import { encodeNumbers, encodePng } from "./png.js";
import { Settings } from "./settings.js";
import { StylePad } from "./style.js";
import { Tools } from "./tools.js";
import { LEADS, TITLES } from "./words.js";

const LINK_AFTER_MS = 400;
const PHOTO_SIDES = [256, 512, 1024, 2048];
const $ = (id) => document.getElementById(id);
const say = (text) => ($("voice").textContent = text);

export class Page {
  constructor(model) {
    this.model = model;
    const elements = { bar: $("bar"), palette: $("palette"), sizeInput: $("size"), sizeText: $("size-text") };
    this.tools = new Tools(model, { ...elements, sizeLabel: $("size-label") }, say);
    this.documents = new Documents(model, () => Number($("photo-size").value));
    const seedElements = { slider: $("seed"), number: $("seed-number"), problem: $("seed-problem") };
    const changed = () => (this.translate(), this.keepLinkSoon());
    // Another seed, or four samples, draw another style.
    this.settings = new Settings({ ...seedElements, four: $("four") }, () => (this.style.choose(null), changed()));
    const padElements = { box: $("style"), pad: $("pad"), knob: $("knob"), free: $("style-free") };
    Object.assign(padElements, { across: $("style-across"), up: $("style-up") });
    this.style = new StylePad(padElements, model.style, () => (this.settings.show(this.settings.seed, false), changed()));
    const keep = (latent) => (this.style.choose(latent), this.settings.show(this.settings.seed, false), changed());
    this.output = new Output($("pictures"), model, keep);
    this.comparison = new Comparison({ button: $("compare"), layer: $("comparison"), slider: $("split") });
    const show = async (pictures, question) => {
      await this.output.show(pictures, question);
      if (question.latents) this.style.learn(question.latents[0]);
      this.showActions();
    };
    const report = (state, detail) => this.report(state, detail);
    this.client = new Client(show, report, model.requests_per_sec);
    this.easel = new Easel($("canvas"), $("cursor"), {
      colours: model.colours,
      readTool: () => (this.history.current.base.kind === "none" ? null : this.tools.read()),
      changed: () => (this.turn++, this.translate()),
      finished: (operation) => this.add(operation),
      pick: (colour) => this.tools.pick(colour),
      say,
    });
    this.turn = 0; // goes up with every change: what is opened meanwhile came too late
    this.history = new History(this.documents.empty());
    this.easel.show(this.history.current);
    this.describe();
    this.listen();
  }

  describe() {
    const { kind, title, examples } = this.model;
    const { takesPhotos } = this.documents;
    const isDrawn = kind !== "photo";
    document.title = `${title} · ${TITLES[kind]}`;
    $("title").textContent = TITLES[kind];
    $("main").dataset.kind = kind;
    $("lead").textContent = `${LEADS[kind]} Model: ${title}.`;
    const help = "Arrow keys move, space begins and ends, escape takes back. Keys of the tools are below.";
    $("canvas-help").textContent = isDrawn ? help : "";
    $("canvas").setAttribute("aria-label", isDrawn ? "The drawing" : "The photo");
    $("canvas").setAttribute("role", isDrawn ? "application" : "img");
    $("canvas").tabIndex = isDrawn ? 0 : -1;
    $("canvas").classList.toggle("drawable", isDrawn);
    $("canvas").classList.toggle("exact", !takesPhotos);
    for (const id of ["help", "copy-link", "clear"]) $(id).hidden = !isDrawn;
    for (const id of ["camera", "photo-size-label"]) $(id).hidden = !takesPhotos;
    $("open").textContent = takesPhotos ? "Open photo" : "Open image";
    this.listPhotoSizes();
    $("about").hidden = !this.model.card.length;
    listFacts($("facts"), this.model.card);
    listKeys($("tool-keys"), $("tool-names"), this.tools.describe());
    $("full-screen").hidden = !document.fullscreenEnabled;
    for (const id of ["settings", "seed-note"]) $(id).hidden = !this.model.has_noise;
    $("examples").hidden = !examples.length;
    $("example-strip").append(...examples.map((name, place) => this.makeExample(name, place)));
  }

  listPhotoSizes() {
    const own = Math.max(this.model.width, this.model.height);
    const larger = PHOTO_SIDES.filter((side) => side > own && side * side <= this.model.max_pixels);
    const options = larger.map((side) => new Option(`${side} px`, side));
    $("photo-size").append(new Option(`${own} px, as trained`, own), ...options);
  }

  makeExample(name, place) {
    const image = Object.assign(new Image(), { src: `api/examples/${place}`, alt: "", loading: "lazy" });
    const button = Object.assign(document.createElement("button"), { type: "button", title: name });
    button.setAttribute("aria-label", `Example ${name}`);
    button.append(image);
    button.addEventListener("click", () => this.open(() => this.documents.readExample(name)));
    return button;
  }

  listen() {
    $("undo").addEventListener("click", () => this.go(-1));
    $("redo").addEventListener("click", () => this.go(1));
    $("clear").addEventListener("click", () => this.push(this.documents.empty()));
    $("again").addEventListener("click", () => this.translate());
    $("save-input").addEventListener("click", async () => save(await this.encode(), "input.png"));
    $("save-both").addEventListener("click", async () => save(await this.output.join(), "input-and-output.png"));
    $("full-screen").addEventListener("click", () => $("frame").requestFullscreen());
    $("copy-link").addEventListener("click", () => this.copyLink());
    $("photo-size").addEventListener("change", () => this.resizePhoto());
    for (const id of ["open", "invited-open"]) $(id).addEventListener("click", () => $("file").click());
    for (const id of ["file", "camera-file"])
      $(id).addEventListener("change", () => this.openFile($(id).files[0]).then(() => ($(id).value = "")));
    acceptImages(
      $("sheet"),
      (file) => this.openFile(file),
      (text) => this.showProblem(text),
    );
    this.listenToCamera();
    addEventListener("hashchange", () => this.open(() => this.readLink()));
    document.addEventListener("keydown", (event) => this.pressKey(event));
  }

  listenToCamera() {
    const elements = { dialog: $("camera-dialog"), video: $("video"), shoot: $("shoot") };
    Object.assign(elements, { cancel: $("camera-cancel"), fallback: $("camera-file") });
    const camera = new Camera(elements, (read) => this.openPhoto(read));
    for (const id of ["camera", "invited-camera"])
      $(id).addEventListener("click", () => camera.start().catch((error) => this.showProblem(error.message, {})));
  }

  pressKey(event) {
    const isCommand = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const isTyping = event.target.matches("input[type=number], select");
    if (event.altKey || isTyping) return;
    if (isCommand && (key === "z" || key === "y")) this.go(key === "y" || event.shiftKey ? 1 : -1);
    else if (isCommand || !$("input").contains(event.target) || !this.tools.pressKey(event.key)) return;
    event.preventDefault();
  }

  // Documents

  add(operation) {
    const { operations, ...document } = this.history.current;
    this.push({ ...document, operations: [...operations, operation] });
  }

  push(document) {
    this.history.push(document);
    this.showCurrent();
  }

  go(steps) {
    if (this.easel.operation) this.easel.cancel();
    else if (this.history.go(steps)) this.showCurrent(), say(steps < 0 ? "Undone" : "Redone");
  }

  /** Shows the document that `read` gives, or as a sentence why there is none; neither if anything is newer. */
  async open(read) {
    const turn = ++this.turn;
    try {
      const document = await read();
      if (!document || turn !== this.turn) return;
      this.push(document);
      this.showProblem(document.note);
    } catch (error) {
      if (turn === this.turn) this.showProblem(error.message, {});
    }
  }

  openFile(file) {
    return this.openPhoto((fit, isSmooth, ground) => readImage(file, fit, isSmooth, ground));
  }

  openPhoto(read) {
    return this.open(() => this.documents.readPhoto(read));
  }

  resizePhoto() {
    const { read } = this.history.current.base;
    if (read) this.openPhoto(read);
  }

  showCurrent() {
    this.turn++;
    const { base, width, height } = this.history.current;
    $("main").style.setProperty("--aspect", width / height);
    this.easel.show(this.history.current);
    if (base.read) $("photo-size").value = Math.max(width, height);
    $("invitation").hidden = base.kind !== "none";
    $("undo").disabled = !this.history.canUndo;
    $("redo").disabled = !this.history.canRedo;
    this.showProblem("");
    this.translate();
    this.keepLinkSoon();
  }

  // Links

  /** Returns the document of the address, null when that names none; shows its settings unless anything is newer. */
  async readLink() {
    const link = readLink(location.hash, this.model);
    if (!link) return null;
    const { turn } = this;
    const document = await this.documents.readLink(link);
    if (turn === this.turn) {
      this.settings.show(link.seed, link.isFour && this.model.has_noise);
      this.style.choose(link.latent);
    }
    return document;
  }

  keepLinkSoon() {
    clearTimeout(this.linkTimer);
    this.linkTimer = setTimeout(() => this.keepLink(), LINK_AFTER_MS);
  }

  keepLink() {
    const link = this.model.kind !== "photo" && writeLink(this.history.current, this.settings, this.style.latent);
    $("copy-link").disabled = !link;
    $("copy-link").title = link ? "" : "A link cannot hold your own photo";
    history.replaceState(null, "", link || location.pathname);
  }

  async copyLink() {
    this.keepLink();
    let text = "Link copied.";
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      text = "The link is in the address bar."; // not allowed, or not over https
    }
    $("status").textContent = text;
    say(text);
  }

  // Translations

  encode() {
    const { width, height, pixels } = this.easel.raster;
    return encodePng(width, height, new Uint8Array(pixels.slice().buffer));
  }

  encodeInstances() {
    const { width, height } = this.easel.raster;
    return encodeNumbers(width, height, this.easel.raster.readInstances());
  }

  translate() {
    if (this.history.current.base.kind === "none") {
      this.client.cancel();
      this.output.clear();
      this.showActions();
      return;
    }
    const { width, height } = this.easel.raster;
    const { seed, isFour } = this.settings;
    const question = { noiseSeed: seed, samples: isFour ? 4 : 1, latent: this.style.latent, width, height };
    const encodeInstances = this.model.has_instances ? () => this.encodeInstances() : null;
    this.client.ask({ encode: () => this.encode(), encodeInstances, ...question });
  }

  report(state, { text, modelSec, totalSec }) {
    const isWaiting = !["done", "refused", "cancelled"].includes(state);
    $("pictures").setAttribute("aria-busy", String(isWaiting));
    $("status").textContent = { busy: "Busy", away: "No connection", slow: "Waiting…" }[state] ?? (isWaiting ? "Translating…" : "");
    if (text) this.showProblem(text, { isOfModel: true, canRetry: state === "refused" });
    if (state !== "done") return;
    if (this.isProblemOfModel) this.showProblem("");
    $("status").textContent = `${seconds(totalSec)}, of that ${seconds(modelSec)} in the model`;
    say(`Picture ready after ${seconds(totalSec)}`);
  }

  /** Offers what can be done with the output that there is. */
  showActions() {
    const { input } = this.output;
    $("save-both").disabled = $("full-screen").disabled = !input;
    this.comparison.show(this.output.isSingle ? input : null);
  }

  /** Shows a sentence over the output, if it is of the model, or else over the input. */
  showProblem(text = "", { isOfModel = false, canRetry = false } = {}) {
    this.isProblemOfModel = isOfModel;
    $(isOfModel ? "frame" : "sheet").append($("problem"));
    $("problem").hidden = !text;
    $("problem-text").textContent = text;
    $("again").hidden = !canRetry;
    if (text) say(text);
  }
}

const seconds = (value) => `${value.toFixed(2)} s`;
