/**
 * A server's claim on its commands: an advisory lock whose number is stored with each of them, held by a connection of
 * its own for as long as the server lives. Who can take another server's lock knows that this server is gone.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pRetry from 'p-retry';
import { type Client, DatabaseError, escapeIdentifier } from 'pg';
import { createClient, endClient } from './client.ts';
import { claimName, endSessions, journalName } from './fence.ts';

/** The first of the two numbers of each lock; it keeps them apart from other users of advisory locks. */
const LOCK_SPACE = 0x5e11;

/** The second number of the lock on a data folder; owners start at 1. */
const FOLDER_LOCK = 0;
/** How long we wait for that of a server that has just been killed, in ms. */
const FOLDER_MS = 2000;

/** How often the connection is looked at, in ms: one that a network has cut says nothing by itself. */
const HEARTBEAT_MS = 5000;
/** How long PostgreSQL may take for an answer, in ms. Then the connection counts as lost. */
const ANSWER_MS = 5000;

interface Listener {
  channel: string;
  onNotification: (payload: string) => void;
  onReconnect: () => void;
}

export class Claim {
  /** The number that marks this server's commands. */
  readonly owner: number;
  readonly #databaseUrl: string;
  readonly #beforeConnect: () => Promise<void>;
  /** What to take again when the connection was lost. */
  readonly #held: Set<number>;
  #client: Client | undefined;
  readonly #listeners: Listener[] = [];
  /** The look at the connection that is under way: all who want to know share it. */
  #check: Promise<boolean> | undefined;
  readonly #heartbeat: NodeJS.Timeout;
  #closed = false;

  private constructor(databaseUrl: string, owner: number, beforeConnect: () => Promise<void>) {
    this.owner = owner;
    this.#held = new Set([owner]);
    this.#beforeConnect = beforeConnect;
    this.#databaseUrl = databaseUrl;
    this.#heartbeat = setInterval(() => void this.isHeld(), HEARTBEAT_MS).unref();
  }

  /**
   * Connects and takes the lock; what a server before this one, with the same number, has left of its session is ended.
   * `beforeConnect` is called before each attempt, the later ones after a lost connection included.
   * @throws when the database can't be reached.
   */
  static async take(
    databaseUrl: string,
    owner: number = randomInt(1, 2 ** 31),
    beforeConnect: () => Promise<void> = async () => {},
  ): Promise<Claim> {
    const claim = new Claim(databaseUrl, owner, beforeConnect);
    try {
      await claim.#connect();
    } catch (error) {
      await claim.close();
      throw error;
    }
    return claim;
  }

  /** Whether the connection that holds the lock is there and PostgreSQL answers on it. Never rejects. */
  isHeld(): Promise<boolean> {
    this.#check ??= this.#look().finally(() => {
      this.#check = undefined;
    });
    return this.#check;
  }

  /**
   * Takes the lock of another server if that one is gone, or is within `patienceMs`. While it is held nobody else adopts the
   * same commands.
   */
  async takeOver(owner: number, patienceMs = 0): Promise<boolean> {
    for (const until = performance.now() + patienceMs; ; await delay(50)) {
      const [row] = await this.#query('SELECT pg_try_advisory_lock($1, $2) AS taken', [LOCK_SPACE, owner]);
      if (row?.taken === true) return true;
      if (performance.now() >= until) return false;
    }
  }

  /**
   * Who has the lock of another server: whether anybody does, whether we do, and whether somebody waits for it. One that we
   * took is lost with our connection. Where somebody waits for it that server lives, and only its connection was lost, in a
   * restart of PostgreSQL for example.
   */
  async lookAtLock(owner: number): Promise<{ isTaken: boolean; isHeld: boolean; isWanted: boolean }> {
    const [row] = await this.#query(
      `SELECT coalesce(bool_or(granted), false) AS taken,
         coalesce(bool_or(granted AND pid = pg_backend_pid()), false) AS held,
         coalesce(bool_or(NOT granted), false) AS wanted
       FROM pg_locks JOIN pg_database d ON d.oid = database AND d.datname = current_database()
       WHERE locktype = 'advisory' AND classid = $1 AND objid = $2`,
      [LOCK_SPACE, owner],
    );
    return { isTaken: row?.taken === true, isHeld: row?.held === true, isWanted: row?.wanted === true };
  }

  /** Holds locks of other servers that we took for `ms`. @returns those that nobody has wanted back, and that are still ours. */
  async areLeft(owners: readonly number[], ms: number): Promise<number[]> {
    let left = [...owners];
    for (const until = performance.now() + ms; left.length > 0; await delay(50)) {
      const looks = await Promise.all(left.map((owner) => this.lookAtLock(owner)));
      left = left.filter((_, i) => looks[i]?.isHeld && !looks[i]?.isWanted);
      if (performance.now() > until) break;
    }
    return left;
  }

  /** Ends the session of another server that holds its lock. @throws SessionLingers when it does not end. */
  async endHolder(owner: number): Promise<void> {
    // Not one that waits for it: that says that the server lives.
    await endSessions((text, values) => this.query(text, values), claimName(owner), [LOCK_SPACE, owner]);
  }

  /** Ends what a server that is gone may still have under way in PostgreSQL. */
  async endWriters(owner: number): Promise<void> {
    await endSessions((text, values) => this.query(text, values), journalName(owner));
  }

  /** Whether no other server uses the same PostgreSQL: it holds the lock of the data folder. */
  get isAlone(): boolean {
    return this.#held.has(FOLDER_LOCK);
  }

  /**
   * Takes the lock of the embedded PostgreSQL's data folder, which one server at a time may use: it ends PostgreSQL
   * when it ends. Waits a moment for a server that has just been killed. @returns whether it is ours.
   */
  async takeFolder(): Promise<boolean> {
    const isOurs = await this.takeOver(FOLDER_LOCK, FOLDER_MS);
    if (isOurs) this.#held.add(FOLDER_LOCK);
    return isOurs;
  }

  /**
   * Listens to a channel, on the connection that holds the lock. `onNotification` gets each payload, `onReconnect` is called
   * when some may have been missed.
   */
  async listen(channel: string, onNotification: (payload: string) => void, onReconnect = () => {}): Promise<void> {
    this.#listeners.push({ channel, onNotification, onReconnect });
    await this.#query(`LISTEN ${escapeIdentifier(channel)}`);
  }

  /** Gives the lock of another server back. */
  async release(owner: number): Promise<void> {
    await this.#query('SELECT pg_advisory_unlock($1, $2)', [LOCK_SPACE, owner]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    await endClient(this.#client);
  }

  /** Runs a statement on the connection that holds the lock. @throws when there is none at the moment. */
  async query(text: string, values: unknown[]): Promise<{ rows: Record<string, unknown>[] }> {
    return { rows: await this.#query(text, values) };
  }

  async #query(text: string, values: unknown[] = []) {
    const client = this.#client;
    if (client === undefined) throw new Error('Connection terminated: the claim has none at the moment');
    try {
      return (await client.query(text, values)).rows;
    } catch (error) {
      // It may still be done later, a lock taken for instance, and nobody would know.
      if (!(error instanceof DatabaseError)) void endClient(client);
      throw error;
    }
  }

  async #look(): Promise<boolean> {
    try {
      await this.#query('SELECT');
      return true;
    } catch {
      // Its end, where PostgreSQL does not answer, leads to the next one.
      return false;
    }
  }

  async #connect(): Promise<void> {
    await this.#beforeConnect();
    const name = claimName(this.owner);
    const client = createClient(this.#databaseUrl, name, ANSWER_MS);
    try {
      await client.connect();
      // Where a network has cut us off PostgreSQL may not know it for hours, and our own last session keeps the locks.
      await endSessions((text, values) => client.query(text, values), name);
      client.on('notification', ({ channel, payload = '' }) => {
        for (const listener of this.#listeners) if (listener.channel === channel) listener.onNotification(payload);
      });
      for (const { channel } of this.#listeners) await client.query(`LISTEN ${escapeIdentifier(channel)}`);
      for (const lock of this.#held) await client.query('SELECT pg_advisory_lock($1, $2)', [LOCK_SPACE, lock]);
    } catch (error) {
      void endClient(client);
      throw error;
    }
    this.#client = client;
    for (const { onReconnect } of this.#listeners) onReconnect();
    client.once('end', () => {
      this.#client = undefined;
      void this.#reconnect();
    });
    if (this.#closed) void endClient(client);
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
