/** Which tokens there are: that of the environment, and those of a file, which is read again when it changes. */
import { timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { StartupError } from '../errors.ts';
import type { Caller } from './caller.ts';
import { digestOf, type KnownToken, parseTokens } from './tokens.ts';

/** The name of the token in the environment. */
export const DEFAULT_NAME = 'default';

/** How often to look whether the file has changed, in ms. */
const LOOK_MS = 1000;

export interface KeyringOptions {
  /** The token of the environment: it may do everything. */
  token?: string | undefined;
  /** Absolute path of the file of tokens. */
  file?: string | undefined;
}

/** Knows who has which token. */
export class Keyring {
  readonly #own: readonly KnownToken[];
  #known: readonly KnownToken[];
  readonly #file: string | undefined;
  /** Of the file, as it was read last. */
  #version: string | undefined;

  /** @throws StartupError when the file can't be used. */
  constructor({ token, file }: KeyringOptions = {}) {
    this.#own =
      token === undefined
        ? []
        : [{ digest: digestOf(token), caller: { name: DEFAULT_NAME, scopes: new Set(['admin']) } }];
    this.#file = file;
    // Before it is read: what changes in between is looked at again.
    this.#version = file && versionOf(file);
    this.#known = this.#read();
  }

  /** Whether callers must have a token. */
  get isWanted(): boolean {
    return this.#own.length > 0 || this.#file !== undefined;
  }

  /** Whose token this is; undefined when it is nobody's. Takes the same time for all tokens. */
  callerOf(token: string): Caller | undefined {
    const digest = digestOf(token);
    let found: Caller | undefined;
    for (const known of this.#known) if (timingSafeEqual(known.digest, digest)) found = known.caller;
    return found;
  }

  /** Whether a caller that had a token still has it, and may do the same with it. */
  isCurrent(caller: Caller): boolean {
    return this.#known.some((known) => known.caller === caller);
  }

  /**
   * Reads the file again whenever it changes. One that can't be used changes nothing.
   * @param onChanged called afterwards. @param onError told what is wrong with it.
   * @returns what ends this.
   */
  watch(onChanged: () => void, onError: (error: Error) => void): () => void {
    const file = this.#file;
    if (file === undefined) return () => {};
    let told: string | undefined;
    const look = () => {
      const version = versionOf(file);
      if (version === this.#version) return;
      try {
        this.#known = this.#read();
      } catch (error) {
        // It is tried again each second, and may fail for the same reason each time.
        const { message } = error as Error;
        if (message !== told) onError(error as Error);
        told = message;
        return;
      }
      this.#version = version;
      told = undefined;
      onChanged();
    };
    const timer = setInterval(look, LOOK_MS).unref();
    return () => clearInterval(timer);
  }

  /** Where nothing of a caller has changed he stays the same object: `isCurrent` relies on it. */
  #read(): readonly KnownToken[] {
    if (this.#file === undefined) return this.#own;
    const fresh = readTokens(this.#file);
    if (this.#own.length > 0 && fresh.some(({ caller }) => caller.name === DEFAULT_NAME)) {
      throw new StartupError(`${this.#file}: the name ${DEFAULT_NAME} is that of SHELLVISOR_TOKEN`);
    }
    return [...this.#own, ...fresh.map((token) => this.#known?.find((known) => isSame(known, token)) ?? token)];
  }
}

/** What changes with every change of a file; the same as long as there is none. */
function versionOf(file: string): string {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? 'none' : `${found.dev} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
}

function isSame(a: KnownToken, b: KnownToken): boolean {
  const { name, scopes } = a.caller;
  const isSameSet = scopes.size === b.caller.scopes.size && scopes.isSubsetOf(b.caller.scopes);
  return name === b.caller.name && isSameSet && a.digest.equals(b.digest);
}

/** @throws StartupError */
function readTokens(file: string): KnownToken[] {
  try {
    // Whoever writes it lets in whom he likes.
    if ((statSync(file).mode & 0o022) !== 0) throw new Error('others than its owner may write it; chmod 600 it');
    return parseTokens(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new StartupError(`the file of tokens ${file} can't be used: ${(error as Error).message}`, { cause: error });
  }
}
