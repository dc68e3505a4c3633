/**
 * What bash sources before each script: a copy of `prologue.bash` in the data folder, where no upgrade of the program replaces it
 * while scripts are being started.
 *
 * Without it, or with half of it, bash would run the script outside of its process tree and without its limits, and not say a word.
 * So each version has a file of its own name, since servers of several may share the folder, and none is ever written in place.
 */
import { createHash, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Everybody may read it: there is nothing in it, and bash of another user has to. */
const MODE = 0o644;

export class Prologue {
  /** Absolute path of the copy. */
  readonly file: string;
  readonly #text: string;

  /** Writes the copy. @throws the error of open(2), write(2) or rename(2). */
  constructor(dataDir: string) {
    this.#text = readFileSync(new URL('prologue.bash', import.meta.url), 'utf8');
    const version = createHash('sha256').update(this.#text).digest('hex').slice(0, 16);
    this.file = join(dataDir, `prologue-${version}.bash`);
    // One that is there may be what a machine that lost its power has left of it.
    this.#write();
  }

  /** Writes it again where a script has removed it. @throws as the constructor. */
  ensure(): void {
    if (!existsSync(this.file)) this.#write();
  }

  /** In one step for who reads it meanwhile. */
  #write(): void {
    const fresh = `${this.file}.${randomUUID()}`;
    writeFileSync(fresh, this.#text, { mode: MODE });
    chmodSync(fresh, MODE);
    renameSync(fresh, this.file);
  }
}
