/** The figures of a server for Prometheus: their names, and where they are taken. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { aroundJournal, aroundOutput } from './around.ts';
import type { CommittedBatch } from './persistence/journal.ts';
import type { Expired } from './persistence/retention.ts';
import type { Load } from './ports/commander.ts';
import type { Journal } from './ports/journal.ts';
import type { Metrics, StorageUse } from './ports/watching.ts';

/** Bounds of buckets, in seconds: commands last from milliseconds to days. */
const LONG_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600, 10_800, 86_400];
const SHORT_SECONDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];

/** What is asked when somebody looks. */
export interface Sources {
  load: () => Load;
  /** For how long the journal has been trying to commit its batch, in ms; 0 when it has nothing to do. */
  journalLagMs: () => number;
  /** What is stored; null when the database has not told. */
  storageUse: () => Promise<StorageUse | null>;
}

export class PrometheusMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly contentType = this.#registry.contentType;
  readonly #created = this.#counter('commands_created_total', 'Commands that were stored', ['durable']);
  readonly #ended = this.#counter('commands_ended_total', 'Commands that ended', ['status', 'reason']);
  readonly #outputBytes = this.#counter('output_bytes_total', 'Bytes that scripts have printed', ['stream']);
  readonly #queueWait = this.#histogram('queue_wait_seconds', 'How long commands waited for a slot', LONG_SECONDS);
  readonly #runTime = this.#histogram('run_seconds', 'How long scripts ran', LONG_SECONDS, ['status']);
  readonly #batchEntries = this.#histogram(
    'journal_batch_entries',
    'New commands, starts, outcomes, pieces of output, progress, and transitions of their own in one transaction',
    [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000],
  );
  readonly #batchTime = this.#histogram(
    'journal_batch_seconds',
    'From putting a batch together to its commit',
    SHORT_SECONDS,
  );
  readonly #expired = this.#counter('retention_deleted_total', 'Commands that retention has deleted', ['rule']);
  readonly #expiredBytes = this.#counter('retention_deleted_bytes_total', 'Bytes that these kept', ['rule']);
  readonly #requests = this.#histogram('http_request_seconds', 'HTTP requests', SHORT_SECONDS, [
    'method',
    'route',
    'status',
  ]);

  /** Besides ours the figures of Node and of the process: memory, event-loop delay, garbage collection. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** What is known only at the moment. To be called once. */
  collectFrom({ load, journalLagMs, storageUse }: Sources): void {
    this.#gauge('commands_queued', 'Commands that wait for a slot', () => load().waiting);
    this.#gauge('commands_executing', 'Slots that are taken', () => load().executing);
    this.#gauge('slots', 'Commands that may execute at once', () => load().maxParallel);
    this.#gauge('queue_limit', 'Commands that may wait', () => load().maxQueued);
    this.#gauge(
      'journal_lag_seconds',
      'For how long the journal has been trying to commit its batch',
      () => journalLagMs() / 1000,
    );
    const stored = (figure: keyof StorageUse) => async () => (await storageUse())?.[figure] ?? Number.NaN;
    this.#gauge('stored_commands', 'Commands that are stored', stored('commands'));
    this.#gauge('stored_pinned_commands', 'Pinned commands that have ended', stored('pinned'));
    this.#gauge('stored_bytes', 'Bytes of scripts, stdins and outputs that are kept', stored('bytes'));
    this.#gauge('stored_disk_bytes', 'Bytes of our tables on the disk of the database', stored('diskBytes'));
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  request(method: string, route: string, status: number, ms: number): void {
    this.#requests.observe({ method, route, status }, ms / 1000);
  }

  batch({ entries, durationMs }: CommittedBatch): void {
    this.#batchEntries.observe(entries);
    this.#batchTime.observe(durationMs / 1000);
  }

  /** Counts what retention has deleted. */
  expired({ rule, commands, bytes }: Expired): void {
    this.#expired.inc({ rule }, commands);
    this.#expiredBytes.inc({ rule }, bytes);
  }

  /** Counts what goes into a journal. */
  around(journal: Journal): Journal {
    return aroundJournal(journal, {
      insert: async (command, onKept) => {
        const count = () => this.#created.inc({ durable: `${command.durable}` });
        const isStored = await journal.insert(command, () => {
          count();
          onKept?.();
        });
        if (isStored) count();
        return isStored;
      },
      begin: async (uuid, startedAt) => {
        const begun = await journal.begin(uuid, startedAt);
        // Of a node with another clock it may come from the future.
        if (begun !== null && begun.waitsSince !== null)
          this.#queueWait.observe(Math.max(0, startedAt.getTime() - begun.waitsSince) / 1000);
        return begun;
      },
      openOutput: (...args) =>
        aroundOutput(journal.openOutput(...args), {
          onWrite: (stream, bytes) => this.#outputBytes.inc({ stream }, bytes.length),
        }),
      finish: async (uuid, outcome, endedAt) => {
        await journal.finish(uuid, outcome, endedAt);
        const { status, reason, durationMs } = outcome;
        this.#ended.inc({ status, reason });
        if (durationMs !== null) this.#runTime.observe({ status }, durationMs / 1000);
      },
    });
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]) {
    return new Counter({ name: `shellvisor_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #histogram<Label extends string>(name: string, help: string, buckets: number[], labelNames: Label[] = []) {
    return new Histogram({ name: `shellvisor_${name}`, help, buckets, labelNames, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, value: () => number | Promise<number>): void {
    new Gauge({
      name: `shellvisor_${name}`,
      help,
      registers: [this.#registry],
      async collect() {
        this.set(await value());
      },
    });
  }
}
