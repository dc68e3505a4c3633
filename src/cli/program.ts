/** The commands of the command line, with their options and their help. */
import { Option, Command as Program } from 'commander';
import type { ListQuery, Shellvisor } from '../client/index.ts';
import { VERSION } from '../version.ts';
import { connectTo } from './connection.ts';
import { type DrainOptions, drain } from './drain.ts';
import { FAILURE, USAGE } from './exit-codes.ts';
import { followAsJson, followOurs, followToEnd } from './follow.ts';
import { newCommand, type RunOptions } from './new-command.ts';
import { serve } from './serve.ts';
import { inWords, nodeTable, prunedInWords, steps, table } from './show.ts';
import { write } from './terminal.ts';
import { addTokenCommands } from './tokens.ts';
import { pair, secret, several, span, time, wholeNumber } from './values.ts';

const EXIT_CODES = `
Exit code: that of the script; 124 when it took too long, 126 when it could not be started, 128 + N when signal N
ended it, 130 after Ctrl-C, 143 when somebody else stopped it. 125 when this program failed, 2 when it was called in
a wrong way.`;

const ENVIRONMENT = `
Environment:
  SHELLVISOR_URL    the server; http://localhost:8080 unless set; unix:/path/of/its/socket for a Unix socket
  SHELLVISOR_TOKEN  the token, where the server wants one`;

const IDEMPOTENCY_KEY = 'if an earlier call with this key has started it already, show that one';
const DETACH = 'print its uuid, and leave it alone';

interface CommonOptions {
  server: string | undefined;
  token: string | undefined;
  json: boolean | undefined;
}

/** Of commands that start a command. */
interface StartOptions extends CommonOptions {
  detach: true | undefined;
  idempotencyKey: string | undefined;
}

interface RerunOptions extends StartOptions {
  secretEnv: Record<string, string> | undefined;
}

interface FilterOptions extends CommonOptions {
  status: string[] | undefined;
  label: Record<string, string> | undefined;
  search: string | undefined;
  by: string | undefined;
  after: string | undefined;
  before: string | undefined;
}

interface ListOptions extends FilterOptions {
  pinned: true | undefined;
  limit: number;
}

interface PruneOptions extends FilterOptions {
  dryRun: true | undefined;
}

/** Sets `process.exitCode`. Its actions throw what the client throws. */
export function createProgram(environment: NodeJS.ProcessEnv = process.env): Program {
  const program = new Program('shellvisor')
    .description('Runs bash scripts on a shellvisor server, and shows what becomes of them.')
    .version(VERSION)
    .enablePositionalOptions()
    .addHelpText('after', ENVIRONMENT)
    .showHelpAfterError('(--help says more)')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : USAGE));

  const clientOf = ({ server, token }: CommonOptions) =>
    connectTo(server ?? environment.SHELLVISOR_URL, token ?? environment.SHELLVISOR_TOKEN);

  /** A command that talks to the server. */
  const talking = (name: string, summary: string) =>
    program
      .command(name)
      .summary(summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
      .option('-s, --server <url>', 'the server; else SHELLVISOR_URL')
      .option('-t, --token <token>', 'the token; SHELLVISOR_TOKEN keeps it out of the list of processes')
      .option('--json', 'print what the server answers, as JSON');

  /** Ends a command that has started one on the server. */
  const started = async (client: Shellvisor, created: { uuid: string }, options: StartOptions) => {
    if (options.detach) await print(options, created, () => `${created.uuid}\n`);
    else process.exitCode = await followOurs(client, created.uuid, options.json === true);
  };

  /** One that means the commands of some filters. */
  const filtering = (name: string, summary: string) =>
    talking(name, summary)
      .option('--status <status>', 'only QUEUED, EXECUTING, EXECUTED, FAILED or STOPPED; may be repeated', several)
      .option('-l, --label <KEY=VALUE>', 'only those with this label; may be repeated', pair)
      .option('-q, --search <text>', 'only those with this in their description or script')
      .option('--by <name>', 'only those that were sent with the token of this name')
      .option('--after <time>', 'only those sent later than this: 2026-11-23T22:51:26Z, or 7d for so long ago', time)
      .option('--before <time>', 'only those sent earlier than this', time);

  talking('run', 'run a script, and show its output as it comes')
    .argument('[script]', 'the script itself; - or nothing for stdin')
    .argument('[args...]', "the script's $1, $2 …")
    .option('-f, --file <path>', 'read the script from a file; then all arguments are those of the script')
    .option('-d, --description <text>', 'a note for those who look at the list')
    .option('-e, --env <KEY=VALUE>', 'a variable for the script; may be repeated', pair)
    .option('--secret-env <KEY[=VALUE]>', 'one that is stored nowhere; KEY alone takes our own', secret(environment))
    .option('-l, --label <KEY=VALUE>', 'a label to find it by; may be repeated', pair)
    .option('-C, --cwd <path>', 'the folder on the server that it starts in')
    .option('-i, --stdin <path>', 'a file for its stdin; - for ours')
    .option('--timeout <span>', 'end it after so long: 500ms, 30s, 5m, 2h, 1d', span)
    .option('--nice <n>', 'how much it lets others go first, 0 to 19', wholeNumber)
    .option('--node <label>', 'run it on a node with this label, where several servers share the work')
    .addOption(new Option('--on-lost <action>', 'what to do when its node is lost').choices(['fail', 'rerun']))
    .option('--keep-background', 'let what it leaves in the background live on')
    .option('--idempotency-key <key>', IDEMPOTENCY_KEY)
    .option('--pin', 'keep it when many are deleted')
    .option('--detach', DETACH)
    .passThroughOptions()
    .addHelpText('after', EXIT_CODES)
    .action(async (script: string | undefined, args: string[], options: RunOptions & StartOptions) => {
      const client = clientOf(options);
      const { idempotencyKey } = options;
      const created = await client.create(newCommand(script, args, options), { durable: true, idempotencyKey });
      await started(client, created, options);
    });

  talking('rerun', 'run a command again with all that it was given, and show its output')
    .argument('<uuid>')
    .option('--secret-env <KEY[=VALUE]>', 'a secret that it had; KEY alone takes our own', secret(environment))
    .option('--idempotency-key <key>', IDEMPOTENCY_KEY)
    .option('--detach', DETACH)
    .addHelpText('after', EXIT_CODES)
    .action(async (uuid: string, options: RerunOptions) => {
      const client = clientOf(options);
      const { secretEnv, idempotencyKey } = options;
      await started(client, await client.rerun(uuid, { secretEnv, idempotencyKey }), options);
    });

  filtering('ls', 'list commands, newest first')
    .option('--pinned', 'only those that are pinned')
    .option('-n, --limit <n>', 'at most so many', wholeNumber, 20)
    .action(async (options: ListOptions) => {
      const { pinned, limit } = options;
      const commands = await clientOf(options).list({ ...filtersOf(options), pinned, limit });
      await print(options, commands, () => table(commands, Date.now(), process.stdout.columns));
    });

  talking('show', 'show a command, with its output')
    .argument('<uuid>')
    .option('--transitions', 'show the steps that it took instead')
    .action(async (uuid: string, options: CommonOptions & { transitions: boolean | undefined }) => {
      const client = clientOf(options);
      if (options.transitions) {
        const transitions = await client.transitions(uuid);
        return print(options, transitions, () => steps(transitions));
      }
      const command = await client.get(uuid);
      await print(options, command, () => inWords(command));
    });

  talking('follow', 'show the output of a command from its beginning, until it ends')
    .argument('<uuid>')
    .addHelpText('after', `${EXIT_CODES}\nCtrl-C ends this program alone.`)
    .action(async (uuid: string, options: CommonOptions) => {
      const client = clientOf(options);
      process.exitCode = await (options.json ? followAsJson(client, uuid) : followToEnd(client, uuid));
    });

  talking('stop', 'stop commands, with all that they have started')
    .argument('<uuids...>')
    .option('--kill', 'by SIGKILL at once, also those that are ending already')
    .action((uuids: string[], options: CommonOptions & { kill: true | undefined }) => {
      const client = clientOf(options);
      const { kill } = options;
      return each(uuids, options, 'stopped', (uuid) => client.stop(uuid, { kill }));
    });

  talking('rm', 'delete commands with their output, stopping those that run')
    .argument('<uuids...>')
    .action((uuids: string[], options: CommonOptions) => {
      const client = clientOf(options);
      return each(uuids, options, 'deleted', (uuid) => client.remove(uuid));
    });

  filtering('prune', 'delete all commands of some filters that have ended and are not pinned')
    .option('--dry-run', 'only tell how many')
    .action(async (options: PruneOptions) => {
      const pruned = await clientOf(options).prune(filtersOf(options), { dryRun: options.dryRun === true });
      await print(options, pruned, () => prunedInWords(pruned));
    });

  for (const name of ['pin', 'unpin'] as const) {
    const isPin = name === 'pin';
    talking(name, isPin ? 'keep commands when many are deleted' : 'take the pins off commands again')
      .argument('<uuids...>')
      .action((uuids: string[], options: CommonOptions) => {
        const client = clientOf(options);
        return each(uuids, options, isPin ? 'pinned' : 'unpinned', (uuid) => client[name](uuid));
      });
  }

  talking('nodes', 'list the servers that share the work').action(async (options: CommonOptions) => {
    const nodes = await clientOf(options).nodes();
    await print(options, nodes, () => nodeTable(nodes, Date.now()));
  });

  talking('drain', 'have a node take no more commands; what it runs goes on to its end')
    .argument('[id]', 'which node, by its id in `nodes`; self: the one that answers', 'self')
    .option('--wait', 'wait until it has no commands any more')
    .option('--timeout <span>', 'wait no longer than this: 500ms, 30s, 5m, 2h, 1d', span)
    .option('--undo', 'have it take commands again')
    .action(async (id: string, options: CommonOptions & DrainOptions) => {
      const node = await drain(clientOf(options), id, options);
      await print(options, node, () => `${node.id}  ${node.state}\n`);
    });

  addTokenCommands(program, environment);

  program
    .command('serve')
    .summary('start a server')
    .description(
      'Starts a server. It is configured by its environment: HOST, PORT, DATABASE_URL and others; see the README.',
    )
    .action(async () => {
      process.exitCode = await serve();
    });

  return program;
}

/** The filters of a list, as the server knows them. */
function filtersOf({ status, label = {}, search, by, after, before }: FilterOptions): ListQuery {
  const labels = Object.fromEntries(Object.entries(label).map(([key, value]) => [`label.${key}`, value]));
  return { status, q: search, created_by: by, created_after: after, created_before: before, ...labels };
}

/** Prints an answer as JSON, where that is wanted, else in words. */
async function print({ json }: CommonOptions, answer: unknown, words: () => string): Promise<void> {
  await write(process.stdout, json ? `${JSON.stringify(answer, null, 2)}\n` : words());
}

/** Does the same to several commands. All are tried; what goes wrong is told in the end. */
async function each(
  uuids: readonly string[],
  options: CommonOptions,
  done: string,
  act: (uuid: string) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(uuids.map((uuid) => act(uuid)));
  const errors = results.map((result) => (result.status === 'rejected' ? `${result.reason.message}` : null));
  const answers = uuids.map((uuid, i) => ({ uuid, [done]: errors[i] === null, error: errors[i] }));
  await print(options, answers, () => uuids.map((uuid, i) => `${uuid}  ${errors[i] ?? done}\n`).join(''));
  if (errors.some((error) => error !== null)) process.exitCode = FAILURE;
}
