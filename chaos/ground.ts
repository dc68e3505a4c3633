/** What each round has: a folder, a database, and somebody who answers requests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { as } from '../test/helpers/access.ts';
import { until } from '../test/helpers/until.ts';
import type { Round } from './fault.ts';

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

/** An empty folder for the files of a round; it stays where something was found. */
export function roundFolder({ scope, tally }: Round): string {
  const folder = mkdtempSync(join(tmpdir(), 'shellvisor-chaos-'));
  const findings = tally.findings.length;
  scope.teardown(() => {
    if (tally.findings.length === findings) rmSync(folder, { recursive: true, force: true });
    else tally.kept.push(folder);
  });
  return folder;
}

export abstract class Ground {
  /** All files of the round; removed unless something was found. */
  readonly folder: string;
  protected readonly round: Round;
  readonly #databaseUrl: string;
  readonly #findingsBefore: number;
  #client: Client | undefined;

  protected constructor(round: Round, folder: string, databaseUrl: string) {
    this.round = round;
    this.folder = folder;
    this.#databaseUrl = databaseUrl;
    this.#findingsBefore = round.tally.findings.length;
  }

  /** Who answers the next request, as a URL without a path. */
  protected abstract target(): string;

  /** Asks once, under the name of somebody. */
  async request(method: string, path: string, body?: unknown, caller = SENDER): Promise<Answer> {
    try {
      const headers = { ...as(caller), ...(body !== undefined && { 'content-type': 'application/json' }) };
      const given = body === undefined ? {} : { body: JSON.stringify(body) };
      const init = { method, headers, signal: AbortSignal.timeout(REQUEST_MS), ...given };
      const response = await fetch(this.target() + path, init);
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

  /** Keeps what the database, which is removed, says about the commands beside the other files, if something was found. */
  protected async keepRows(): Promise<void> {
    if (this.round.tally.findings.length === this.#findingsBefore) return;
    const look = this.query('SELECT * FROM commands ORDER BY id').then(
      ({ rows }) => JSON.stringify(rows, null, 1),
      (error: Error) => error.message,
    );
    const late = delay(2000, 'PostgreSQL did not answer', { ref: false });
    writeFileSync(join(this.folder, 'commands.json'), await Promise.race([look, late]));
  }

  /** Lets go of the database. */
  protected async leaveDatabase(): Promise<void> {
    await this.#client?.end().catch(() => {});
  }
}
