/** A first-in-first-out queue whose operations cost the same at any length, removal from the middle included. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;
  readonly #positions = new Map<T, number>();
  /** How many items were taken from the front of `#items` since it was first made. */
  #dropped = 0;

  get size(): number {
    return this.#positions.size;
  }

  push(item: T): void {
    this.#positions.set(item, this.#dropped + this.#items.length);
    this.#items.push(item);
  }

  /** Takes the oldest item. */
  shift(): T | undefined {
    while (this.#head < this.#items.length) {
      const item = this.#items[this.#head];
      this.#items[this.#head++] = undefined;
      if (this.#head > 1024 && this.#head * 2 > this.#items.length) this.#compact();
      if (item !== undefined) {
        this.#positions.delete(item);
        return item;
      }
    }
    return undefined;
  }

  /** Takes an item out, wherever it stands. @returns whether it was in the queue. */
  remove(item: T): boolean {
    const position = this.#positions.get(item);
    if (position === undefined) return false;
    this.#positions.delete(item);
    this.#items[position - this.#dropped] = undefined;
    return true;
  }

  #compact(): void {
    this.#items = this.#items.slice(this.#head);
    this.#dropped += this.#head;
    this.#head = 0;
  }
}
