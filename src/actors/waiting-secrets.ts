/** The secrets of commands that wait. They are stored nowhere else; all else of these commands is in the database alone. */
import { type SecretEnv, stringsBytes } from '../command.ts';

export class WaitingSecrets {
  readonly #max: number;
  readonly #kept = new Map<string, { secretEnv: SecretEnv; bytes: number }>();
  #bytes = 0;

  /** @param max how much they may take together, in bytes. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Whether there is room for those of one more command: where nothing is kept there always is. */
  hasRoomFor(secretEnv: SecretEnv): boolean {
    return this.#bytes === 0 || this.#bytes + stringsBytes({}, secretEnv) <= this.#max;
  }

  keep(uuid: string, secretEnv: SecretEnv): void {
    if (Object.keys(secretEnv).length === 0) return;
    const bytes = stringsBytes({}, secretEnv);
    this.#kept.set(uuid, { secretEnv, bytes });
    this.#bytes += bytes;
  }

  /** @returns the secrets of a command, which are forgotten. */
  take(uuid: string): SecretEnv {
    const { secretEnv = {}, bytes = 0 } = this.#kept.get(uuid) ?? {};
    this.#kept.delete(uuid);
    this.#bytes -= bytes;
    return secretEnv;
  }
}
