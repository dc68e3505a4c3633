import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ended, get, setup } from '../helpers/launcher.ts';
import { serverPid } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const SECRET = 'swordfish\nof two lines';

/** All that is in a folder. */
function contentOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  return files
    .filter((file) => file.isFile())
    .map((file) => `${file.name}\n${readFileSync(join(file.parentPath, file.name))}`)
    .join('\n');
}

t.test(
  'inputs and secrets hold over a kill of the server; where a secret was lost its script does not run',
  async (t) => {
    const { server, submit, folder } = await setup(t, { SHELLVISOR_MAX_PARALLEL: '1', LOG_LEVEL: 'trace' });
    const gate = join(folder, 'gate');
    const script = `mkfifo "$1"
    printf '%s|' "$TOKEN"; printf '%s' "\${TOKEN:0:12}"; read -r _ <"$1"
    printf '%s|' "\${TOKEN:12}"; cat; echo "$PUBLIC"; pwd`;
    const inputs = {
      args: [gate],
      env: { PUBLIC: 'größe' },
      stdin: { base64: Buffer.from('from stdin|\0').toString('base64') },
    };
    const first = await submit('/api/v1/durables/commands', script, {
      ...inputs,
      cwd: folder,
      secret_env: { TOKEN: SECRET },
    });
    const lost = await submit('/api/v1/commands', 'touch ran; echo never', {
      cwd: folder,
      secret_env: { TOKEN: SECRET },
    });
    const kept = await submit('/api/v1/commands', 'cat; echo "$@ $PUBLIC"; pwd', { ...inputs, cwd: folder });
    await until('its secret shows masked', async () => (await get(server, first)).output === '***|');
    t.match(contentOf(folder), script.slice(0, 10), 'the script is in a file');
    t.notMatch(contentOf(folder), 'swordfish');

    process.kill(await serverPid(server), 'SIGKILL');
    await get(server, first);
    // Open for reading too: it does not wait for a reader.
    const fd = openSync(gate, 'r+');
    writeSync(fd, 'go on\n');
    t.match(await ended(server, first), {
      status: 'EXECUTED',
      output: `***|***|from stdin|\0größe\n${folder}\n`,
      inputs: { ...inputs, stdin: undefined, cwd: folder, secret_env: ['TOKEN'], stdin_bytes: 12 },
    });
    closeSync(fd);
    t.match(await ended(server, lost), {
      status: 'FAILED',
      reason: 'lost',
      exit_code: null,
      output: '',
      error:
        'its secret_env was lost with the server that it was sent to, which ended before its turn came; send it again',
      duration_ms: null,
    });
    t.match(await ended(server, kept), { output: `from stdin|\0${gate} größe\n${folder}\n` });
    t.notOk(readdirSync(folder).includes('ran'));
    t.notMatch(contentOf(folder), 'swordfish');
    t.notMatch(server.stderr() + server.stdout(), 'swordfish', 'no log knows it');
  },
);
