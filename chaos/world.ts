/** A launcher with its server, a database and a folder, for one round of a fault; and a look at how its servers ended. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { tokenFile } from '../test/helpers/access.ts';
import { createDatabase, stopCluster } from '../test/helpers/cluster.ts';
import { isAlive } from '../test/helpers/processes.ts';
import { type Exit, freePort, serverPid, startServer, type TestServer } from '../test/helpers/server.ts';
import { until } from '../test/helpers/until.ts';
import type { Round } from './fault.ts';
import { Ground, roundFolder, SENDER, STOPPER } from './ground.ts';
import { AS_NODE } from './nodes.ts';

export interface WorldOptions {
  /** Environment of launcher and server, beside what every world has. */
  env?: Record<string, string>;
  /** The database; undefined: one of the round's cluster. `embedded`: the server's own PostgreSQL. */
  databaseUrl?: string | 'embedded';
}

/** How long a graceful end of all may take, in ms. */
const END_MS = 30_000;

export class World extends Ground {
  readonly #env: Record<string, string>;
  readonly #launchers: TestServer[] = [];
  readonly #kills: (() => unknown)[] = [];
  /** How servers may have ended since a fault ended them so: exit status or signal, as the launcher logs it. */
  readonly #expectedExits: string[] = [];
  /** Whether the launcher was ended by the fault. */
  #launcherMayEnd = false;

  private constructor(round: Round, folder: string, env: Record<string, string>, databaseUrl: string) {
    super(round, folder, databaseUrl);
    this.#env = env;
  }

  /** Starts one; it is ended, and what is wrong with its end counted, after the round. */
  static async start(round: Round, { env = {}, databaseUrl }: WorldOptions = {}): Promise<World> {
    const folder = roundFolder(round);
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
      ...(round.asNode && !isEmbedded ? AS_NODE : {}),
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

  protected override target(): string {
    return this.launcher.url;
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

  async #end(): Promise<void> {
    await this.keepRows();
    if (this.#launchers.length > 0) await this.#endLauncher();
    for (const kill of this.#kills) await kill();
    this.#countServerExits();
    await this.leaveDatabase();
    for (const [i, { stderr }] of this.#launchers.entries()) {
      writeFileSync(join(this.folder, `launcher-${i + 1}.log`), stderr());
    }
  }

  async #endLauncher(): Promise<void> {
    const { tally } = this.round;
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

  /** The launcher logs each end of a server that it did not want. */
  #countServerExits(): void {
    const expected = [...this.#expectedExits];
    for (const { stderr } of this.#launchers) {
      for (const [, how = ''] of stderr().matchAll(/the server ended with (\w+);/g)) {
        const place = expected.indexOf(how);
        if (place >= 0) expected.splice(place, 1);
        else this.round.tally.find('server exits', 1, 'the server', 'it lives', `it ended with ${how}`);
      }
    }
  }
}
