/** The options of a command as JSON: with the same names and bounds in requests, in answers and in the database. */
import { z } from 'zod';
import { MAX_TIMER_MS, OUTPUT_LIMIT_ACTIONS, type RunOptions, type SandboxOptions } from './command.ts';

const wholeNumber = (name: string, min: number, max: number) => {
  const message = `${name} must be a whole number from ${min} to ${max}`;
  return z.int({ error: message, abort: true }).min(min, message).max(max, message).optional();
};

/** Less than this bash itself does not run in. */
const MEMORY_MIN_BYTES = 16 * 1024 * 1024;
/** More process ids than this no Linux has (PID_MAX_LIMIT, see proc_sys_kernel(5)). */
const PROCESSES_MAX = 4_194_304;
/** Fewer than this bash itself does not come out with. */
const OPEN_FILES_MIN = 16;
/** More than this the kernel gives nobody (NR_OPEN, see proc_sys_fs(5)). */
const OPEN_FILES_MAX = 2_147_483_584;

/** What a kind of node may be called. */
export const NODE_LABEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const NODE = 'node must be such as {"label": "gpu"}: 1 to 63 letters, digits, dots, dashes and underscores';

const ON_LOST = ['fail', 'rerun'] as const;

const SANDBOX = 'sandbox must be true, false or {"network": true}';

/** The keys of a request, each with the sentence that a wrong value is answered with. */
export const optionFields = {
  timeout_ms: wholeNumber('timeout_ms', 1, MAX_TIMER_MS).describe(
    'How long it may run, in ms; then it is ended like by a stop, and is FAILED. Unless given, what the server says',
  ),
  keep_background: z
    .boolean('keep_background must be true or false')
    .optional()
    .describe('Whether processes that it leaves in the background live on after its end; unless given, they do not'),
  on_output_limit: z
    .enum(OUTPUT_LIMIT_ACTIONS, `on_output_limit must be one of ${OUTPUT_LIMIT_ACTIONS.join(', ')}`)
    .optional()
    .describe(
      'When it prints more than the server keeps: `truncate` (unless given) drops the middle, `kill` ends the command',
    ),
  nice: wholeNumber('nice', 0, 19).describe('How much it lets others go first, see nice(1)'),
  max_memory_bytes: wholeNumber('max_memory_bytes', MEMORY_MIN_BYTES, Number.MAX_SAFE_INTEGER).describe(
    'Most memory it may have: all of it where control groups can limit that, else each of its processes',
  ),
  max_processes: wholeNumber('max_processes', 1, PROCESSES_MAX).describe(
    'Most processes and threads it may have; where control groups can not limit that, all of the user of the server',
  ),
  max_open_files: wholeNumber('max_open_files', OPEN_FILES_MIN, OPEN_FILES_MAX).describe(
    'Most files, pipes and the like that each of its processes may have open; unless given, what the server says',
  ),
  sandbox: z
    .union([z.boolean(), z.strictObject({ network: z.boolean(SANDBOX).optional() }, SANDBOX)], SANDBOX)
    .optional()
    .describe(
      'Whether it runs in a sandbox: it reads the file system, but for what the server keeps, writes its working folder and a /tmp of ' +
        'its own alone, sees no other processes, and reaches no network unless `network` is true',
    ),
  node: z
    .strictObject({ label: z.string(NODE).regex(NODE_LABEL, NODE) }, NODE)
    .optional()
    .describe('Which kind of node it is to run on, where several servers share the work; unless given, any'),
  on_lost: z
    .enum(ON_LOST, `on_lost must be one of ${ON_LOST.join(', ')}`)
    .optional()
    .describe(
      'When whoever ran it is gone, with its machine or by a crash: `fail` (unless given) ends it as `lost`; `rerun` has it ' +
        'run again, its output behind what it had printed. Then parts of it may have run twice',
    ),
};

/** Options as they are stored and shown: only those that the client gave. */
export const OptionsJson = z.object(optionFields);
export type OptionsJson = z.infer<typeof OptionsJson>;

export function optionsFromJson(json: OptionsJson): RunOptions {
  return {
    timeoutMs: json.timeout_ms,
    keepBackground: json.keep_background,
    onOutputLimit: json.on_output_limit,
    nice: json.nice,
    maxMemoryBytes: json.max_memory_bytes,
    maxProcesses: json.max_processes,
    maxOpenFiles: json.max_open_files,
    sandbox: sandboxFromJson(json.sandbox),
    nodeLabel: json.node?.label,
    rerunWhenLost: json.on_lost === 'rerun' || undefined,
  };
}

export function optionsToJson(options: RunOptions): OptionsJson {
  return {
    timeout_ms: options.timeoutMs,
    keep_background: options.keepBackground,
    on_output_limit: options.onOutputLimit,
    nice: options.nice,
    max_memory_bytes: options.maxMemoryBytes,
    max_processes: options.maxProcesses,
    max_open_files: options.maxOpenFiles,
    sandbox: options.sandbox && (options.sandbox.network ? { network: true } : true),
    node: options.nodeLabel === undefined ? undefined : { label: options.nodeLabel },
    on_lost: options.rerunWhenLost ? 'rerun' : undefined,
  };
}

function sandboxFromJson(json: OptionsJson['sandbox']): SandboxOptions | undefined {
  if (json === undefined || json === false) return undefined;
  return { network: json !== true && json.network === true };
}
