// States to go back and forth between. They are never changed, only replaced.

export class History {
  constructor(state) {
    this.states = [state];
    this.place = 0;
  }

  get current() {
    return this.states[this.place];
  }

  get canUndo() {
    return this.place > 0;
  }

  get canRedo() {
    return this.place < this.states.length - 1;
  }

  push(state) {
    this.states = [...this.states.slice(0, ++this.place), state];
  }

  /** Goes so many states forward, or back. Returns whether there was one. */
  go(steps) {
    const place = this.place + steps;
    if (place < 0 || place >= this.states.length) return false;
    this.place = place;
    return true;
  }
}
