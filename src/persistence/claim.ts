/**
 * A server's claim on its commands: an advisory lock whose number is stored with each of them, held by a connection of
 * its own for as long as the server lives. Who can take another server's lock knows that this server is gone.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pRetry from 'p-retry';
import { Client } from 'pg';

/** The first of the two numbers of each lock; it keeps them apart from other users of advisory locks. */
const LOCK_SPACE = 0x5e11;

/** The second number of the lock on a data folder; owners start at 1. */
const FOLDER_LOCK = 0;

export class Claim {
  /** The number that marks this server's commands. */
  readonly owner: number;
  readonly #databaseUrl: string;
  readonly #beforeConnect: () => Promise<void>;
  /** What to take again when the connection was lost. */
  readonly #held: Set<number>;
  #client: Client | undefined;
  #closed = false;

  private constructor(databaseUrl: string, owner: number, beforeConnect: () => Promise<void>) {
    this.owner = owner;
    this.#held = new Set([owner]);
    this.#beforeConnect = beforeConnect;
    this.#databaseUrl = databaseUrl;
  }

  /**
   * Connects and takes the lock; of a number that a server before this one had, as soon as PostgreSQL notices that it is
   * gone. `beforeConnect` is called before each attempt, the later ones after a lost connection included.
   * @throws when the database can't be reached.
   */
  static async take(
    databaseUrl: string,
    owner: number = randomInt(1, 2 ** 31),
    beforeConnect: () => Promise<void> = async () => {},
  ): Promise<Claim> {
    const claim = new Claim(databaseUrl, owner, beforeConnect);
    await claim.#connect();
    return claim;
  }

  /** Takes the lock of another server if that one is gone. While it is held nobody else adopts the same commands. */
  async takeOver(owner: number): Promise<boolean> {
    const result = await this.#client?.query('SELECT pg_try_advisory_lock($1, $2) AS taken', [LOCK_SPACE, owner]);
    return result?.rows[0].taken === true;
  }

  /**
   * Takes the lock of the embedded PostgreSQL's data folder, which one server at a time may use: it ends PostgreSQL
   * when it ends. Waits a moment for a server that has just been killed. @returns whether it is ours.
   */
  async takeFolder(): Promise<boolean> {
    for (let attempt = 0; attempt < 40; attempt++) {
      if (await this.takeOver(FOLDER_LOCK)) {
        this.#held.add(FOLDER_LOCK);
        return true;
      }
      await delay(50);
    }
    return false;
  }

  /** Gives the lock of another server back. */
  async release(owner: number): Promise<void> {
    await this.#client?.query('SELECT pg_advisory_unlock($1, $2)', [LOCK_SPACE, owner]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#client?.end().catch(() => {});
  }

  async #connect(): Promise<void> {
    await this.#beforeConnect();
    const client = new Client({
      connectionString: this.#databaseUrl,
      application_name: 'shellvisor claim',
      keepAlive: true,
      connectionTimeoutMillis: 5000,
    });
    // An error of a connection is followed by its end; without a listener it would end the process.
    client.on('error', () => {});
    try {
      await client.connect();
      for (const lock of this.#held) await client.query('SELECT pg_advisory_lock($1, $2)', [LOCK_SPACE, lock]);
    } catch (error) {
      await client.end().catch(() => {});
      throw error;
    }
    this.#client = client;
    client.once('end', () => void this.#reconnect());
  }

  /** When PostgreSQL restarts the lock is gone with the connection: take it again as soon as it answers. */
  async #reconnect(): Promise<void> {
    if (this.#closed) return;
    await pRetry(() => (this.#closed ? undefined : this.#connect()), {
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 50,
      maxTimeout: 1000,
      unref: true,
    });
  }
}
