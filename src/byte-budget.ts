/** How much memory may be held for something at once. */
export class ByteBudget {
  readonly #max: number;
  #taken = 0;

  /** @param max in bytes. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Takes so many bytes, if there are: where nothing else is held there always are. @returns whether there were. */
  take(bytes: number): boolean {
    if (this.#taken > 0 && this.#taken + bytes > this.#max) return false;
    this.#taken += bytes;
    return true;
  }

  /** Gives back what was taken. */
  giveBack(bytes: number): void {
    this.#taken -= bytes;
  }
}
