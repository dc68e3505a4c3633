/** A launcher with its server, a database and a folder, for one round of a fault; and a look at how its servers ended. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { as, tokenFile } from '../test/helpers/access.ts';
import { createDatabase, stopCluster } from '../test/helpers/cluster.ts';
import { isAlive } from '../test/helpers/processes.ts';
import { type Exit, freePort, serverPid, startServer, type TestServer } from '../test/helpers/server.ts';
import { until } from '../test/helpers/until.ts';
import type { Round } from './fault.ts';

export interface WorldOptions {
  /** Environment of launcher and server, beside what every world has. */
  env?: Record<string, string>;
  /** The database; undefined: one of the round's cluster. `embedded`: the server's own PostgreSQL. */
  databaseUrl?: string | 'embedded';
}

/** What a request brought; null: no answer came, since the server was killed meanwhile. */
// biome-ignore lint/suspicious/noExplicitAny: answers have many shapes
export type Answer = { status: number; body: any } | null;

/** Who asks in a world: who sends all commands, and who stops or deletes some of them. */
export const SENDER = 'sender';
export const STOPPER = 'stopper';

/** How long a request may go unanswered, in ms: longer than anything here takes, and shorter than for ever. */
const REQUEST_MS = 60_000;
/** How long all commands may take to end once they are left alone, in ms. */
export const CALM_MS = 120_000;
/** How long a graceful end of all may take, in ms. */
const END_MS = 30_000;

export class World {
  /** All files of the round; removed unless something was found. */
  readonly folder: string;
  readonly #round: Round;
  readonly #env: Record<string, string>;
  readonly #databaseUrl: string;
  readonly #launchers: TestServer[] = [];
  readonly #kills: (() => unknown)[] = [];
  #client: Client | undefined;
  /** How servers may have ended since a fault ended them so: exit status or signal, as the launcher logs it. */
  readonly #expectedExits: string[] = [];
  readonly #findingsBefore: number;
  /** Whether the launcher was ended by the fault. */
  #launcherMayEnd = false;

  private constructor(round: Round, folder: string, env: Record<string, string>, databaseUrl: string) {
    this.#round = round;
    this.#findingsBefore = round.tally.findings.length;
    this.folder = folder;
    this.#env = env;
    this.#databaseUrl = databaseUrl;
  }

  /** Starts one; it is ended, and what is wrong with its end counted, after the round. */
  static async start(round: Round, { env = {}, databaseUrl }: WorldOptions = {}): Promise<World> {
    const folder = mkdtempSync(join(tmpdir(), 'shellvisor-chaos-'));
    const findings = round.tally.findings.length;
    round.scope.teardown(() => {
      if (round.tally.findings.length === findings) rmSync(folder, { recursive: true, force: true });
      else round.tally.kept.push(folder);
    });
    const dataDir = join(folder, 'data');
    const isEmbedded = databaseUrl === 'embedded';
    const url = isEmbedded ? '' : (databaseUrl ?? (await createDatabase(round.scope, undefined, round.clusterUrl)));
    const fixed = {
      // One that stays the same over restarts.
      PORT: `${await freePort()}`,
      DATA_DIR: dataDir,
      ...(isEmbedded ? {} : { DATABASE_URL: url }),
      // What loud scripts print is to be kept whole.
      SHELLVISOR_OUTPUT_LIMIT_BYTES: `${2 ** 30}`,
      SHELLVISOR_TOKEN_FILE: tokenFile(round.scope, [SENDER, STOPPER]),
      ...env,
    };
    const embeddedUrl = `postgresql://shellvisor@${encodeURIComponent(join(dataDir, 'postgres'))}/postgres`;
    const world = new World(round, folder, fixed, isEmbedded ? embeddedUrl : url);
    // The server ends its PostgreSQL, unless it did not come to that.
    if (isEmbedded) round.scope.teardown(() => stopCluster(join(dataDir, 'postgres')));
    round.scope.teardown(() => world.#end());
    await world.startLauncher();
    return world;
  }

  /** Starts a launcher on the same data, after the one before it has ended. */
  async startLauncher(env: Record<string, string> = {}): Promise<void> {
    this.#launcherMayEnd = false;
    // Killed only after `#end` has tried it gracefully.
    const scope = { teardown: (kill: () => unknown) => this.#kills.push(kill) };
    this.#launchers.push(await startServer(scope, { ...this.#env, ...env }));
  }

  get launcher(): TestServer {
    return this.#launchers.at(-1) as TestServer;
  }

  serverPid(): Promise<number> {
    return serverPid(this.launcher);
  }

  /** Says that a server will end so, as the fault wants it. */
  expectServerExit(how: 'SIGKILL' | '0'): void {
    this.#expectedExits.push(how);
  }

  async killServer(): Promise<void> {
    const pid = await this.serverPid();
    this.expectServerExit('SIGKILL');
    process.kill(pid, 'SIGKILL');
    await until('the server is gone', () => !isAlive(pid));
  }

  /** Has the server replaced by another one, as for an upgrade. */
  async upgrade(): Promise<void> {
    const pid = await this.serverPid();
    this.expectServerExit('0');
    this.launcher.child.kill('SIGHUP');
    await until('the server has handed over', () => !isAlive(pid));
  }

  /** Waits until the launcher, which the fault ends, and its server are gone. */
  async launcherGone(server: number): Promise<Exit> {
    this.#launcherMayEnd = true;
    const exit = await this.launcher.exited;
    await until('the server is gone as well', () => !isAlive(server));
    return exit;
  }

  /** Asks once, under the name of somebody. */
  async request(method: string, path: string, body?: unknown, caller = SENDER): Promise<Answer> {
    try {
      const headers = { ...as(caller), ...(body !== undefined && { 'content-type': 'application/json' }) };
      const given = body === undefined ? {} : { body: JSON.stringify(body) };
      const init = { method, headers, signal: AbortSignal.timeout(REQUEST_MS), ...given };
      const response = await fetch(this.launcher.url + path, init);
      const text = await response.text();
      const isJson = response.headers.get('content-type')?.startsWith('application/json');
      return { status: response.status, body: isJson ? JSON.parse(text) : text };
    } catch {
      return null;
    }
  }

  /** Asks until an answer comes that is not 503: between two servers, and without PostgreSQL, there is none. */
  async insist(method: string, path: string, body?: unknown): Promise<NonNullable<Answer>> {
    return until(
      `${method} ${path} is answered`,
      async () => {
        const answer = await this.request(method, path, body);
        return answer?.status === 503 ? null : answer;
      },
      CALM_MS,
    );
  }

  /** Runs SQL; again when PostgreSQL was killed meanwhile. */
  // biome-ignore lint/suspicious/noExplicitAny: rows have many shapes
  async query(sql: string, values: unknown[] = []): Promise<{ rows: any[] }> {
    return until(
      'PostgreSQL answers',
      async () => {
        try {
          this.#client ??= await this.#connect();
          return await this.#client.query(sql, values);
        } catch (error) {
          // A mistake of ours in the SQL does not pass by waiting.
          if (/^42/.test((error as { code?: string }).code ?? '')) throw error;
          this.#client = undefined;
          return null;
        }
      },
      CALM_MS,
    );
  }

  /** Waits until nothing waits or executes any more. */
  async calm(): Promise<void> {
    await until(
      'all commands have ended',
      async () => {
        const { rows } = await this.query(`SELECT FROM commands WHERE status IN ('QUEUED', 'EXECUTING') LIMIT 1`);
        return rows.length === 0 || delay(50).then(() => false);
      },
      CALM_MS,
    );
  }

  async #connect(): Promise<Client> {
    const client = new Client(this.#databaseUrl);
    // Lost with PostgreSQL; the next query connects again.
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined;
    });
    await client.connect();
    return client;
  }

  async #end(): Promise<void> {
    const { tally } = this.#round;
    if (tally.findings.length > this.#findingsBefore) await this.#keepRows();
    if (this.#launchers.length > 0) await this.#endLauncher();
    for (const kill of this.#kills) await kill();
    this.#countServerExits();
    await this.#client?.end().catch(() => {});
    for (const [i, { stderr }] of this.#launchers.entries()) {
      writeFileSync(join(this.folder, `launcher-${i + 1}.log`), stderr());
    }
  }

  async #endLauncher(): Promise<void> {
    const { tally } = this.#round;
    const { child, exited } = this.launcher;
    const endedAlone = child.exitCode !== null || child.signalCode !== null;
    if (endedAlone && !this.#launcherMayEnd) {
      tally.find('server exits', 1, 'the launcher', 'it runs', `it ended with ${child.signalCode ?? child.exitCode}`);
    }
    if (!endedAlone) {
      child.kill('SIGTERM');
      const late = delay(END_MS, null, { ref: false });
      const exit = await Promise.race([exited, late]);
      const how = exit === null ? `it still runs after ${END_MS} ms` : `it ended with ${exit.signal ?? exit.code}`;
      tally.find('server exits', exit?.code === 0 ? 0 : 1, 'the shutdown', 'it ends with 0', how);
    }
  }

  /** The database is removed: what it says about the commands is kept beside the other files. */
  async #keepRows(): Promise<void> {
    const look = this.query('SELECT * FROM commands ORDER BY id').then(
      ({ rows }) => JSON.stringify(rows, null, 1),
      (error: Error) => error.message,
    );
    const late = delay(2000, 'PostgreSQL did not answer', { ref: false });
    writeFileSync(join(this.folder, 'commands.json'), await Promise.race([look, late]));
  }

  /** The launcher logs each end of a server that it did not want. */
  #countServerExits(): void {
    const expected = [...this.#expectedExits];
    for (const { stderr } of this.#launchers) {
      for (const [, how = ''] of stderr().matchAll(/the server ended with (\w+);/g)) {
        const place = expected.indexOf(how);
        if (place >= 0) expected.splice(place, 1);
        else this.#round.tally.find('server exits', 1, 'the server', 'it lives', `it ended with ${how}`);
      }
    }
  }
}
