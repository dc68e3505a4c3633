/** The tokens of a server: it knows them by a file on its machine, so these commands work on that. */
import { appendFileSync, chownSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { InvalidArgumentError, type Command as Program } from 'commander';
import { SCOPES, type Scope } from '../access/caller.ts';
import { type KnownToken, lineOf, nameProblem, newToken, parseScopes, parseTokens } from '../access/tokens.ts';
import { WrongUsage } from './errors.ts';
import { columns } from './show.ts';
import { write } from './terminal.ts';

interface FileOptions {
  file: string | undefined;
}

/** Adds `token new`, `token ls` and `token rm`. */
export function addTokenCommands(program: Program, environment: NodeJS.ProcessEnv): void {
  const token = program.command('token').summary('make and remove the tokens of a server');
  token.description('Makes, lists and removes the tokens of a server, in the file that it knows them by.');

  const fileOf = ({ file = environment.SHELLVISOR_TOKEN_FILE }: FileOptions) => {
    if (file === undefined || file === '') throw new WrongUsage('say which file with --file or SHELLVISOR_TOKEN_FILE');
    return file;
  };
  const working = (name: string, summary: string) =>
    token
      .command(name)
      .summary(summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
      .option('--file <path>', 'the file of tokens; else SHELLVISOR_TOKEN_FILE');

  working('new', 'make a token, and print it: it is not shown again')
    .argument('<name>', 'who it is for; commands show it as created_by and stopped_by', checkedName)
    .requiredOption('--scope <scopes>', `what it is good for: ${SCOPES.join(', ')}; may be repeated`, scopes)
    .action(async (name: string, options: FileOptions & { scope: Scope[] }) => {
      const file = fileOf(options);
      if (existsSync(file) && tokensOf(file).some(({ caller }) => caller.name === name)) {
        throw new WrongUsage(
          `${file} has a token with the name ${name} already; remove it with: shellvisor token rm ${name}`,
        );
      }
      const made = newToken();
      append(file, lineOf(name, options.scope, made));
      process.stderr.write(`Added to ${file}. This is the token; nobody can show it again:\n`);
      await write(process.stdout, `${made}\n`);
    });

  working('ls', 'list the tokens').action(async (options: FileOptions) => {
    const rows = tokensOf(fileOf(options)).map(({ caller }) => [caller.name, [...caller.scopes].join(',')]);
    await write(process.stdout, columns([['NAME', 'SCOPES'], ...rows]));
  });

  working('rm', 'remove tokens: whoever has one is locked out a second later')
    .argument('<names...>')
    .action((names: string[], options: FileOptions) => {
      const file = fileOf(options);
      const known = tokensOf(file).map(({ caller }) => caller.name);
      const unknown = names.find((name) => !known.includes(name));
      if (unknown !== undefined) throw new WrongUsage(`${file} has no token with the name ${unknown}`);
      const lines = readFileSync(file, 'utf8').split('\n');
      replace(file, lines.filter((line) => !names.includes(line.trim().split(/\s+/)[0] ?? '')).join('\n'));
    });
}

function checkedName(name: string): string {
  const problem = nameProblem(name);
  if (problem !== undefined) throw new InvalidArgumentError(`It ${problem}.`);
  return name;
}

function scopes(text: string, before: readonly Scope[] = []): Scope[] {
  try {
    return [...new Set([...before, ...parseScopes(text)])];
  } catch (error) {
    throw new InvalidArgumentError(`It ${(error as Error).message}.`);
  }
}

function tokensOf(file: string): KnownToken[] {
  try {
    return parseTokens(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new WrongUsage(`${file}: ${(error as Error).message}`);
  }
}

/** In one write: a server may read the file at any time. */
function append(file: string, line: string): void {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  appendFileSync(file, `${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`, { mode: 0o600 });
}

/** In one step, with the owner and the mode that it had. */
function replace(file: string, text: string): void {
  const { mode, uid, gid } = statSync(file);
  const fresh = `${file}.${process.pid}.new`;
  writeFileSync(fresh, text, { mode, flag: 'wx' });
  chownSync(fresh, uid, gid);
  renameSync(fresh, file);
}
