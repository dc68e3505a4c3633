#!/usr/bin/env node
// The command line. Plain JavaScript that any Node can read: in a checkout the program is TypeScript, which takes a newer
// one than many machines have, so it goes on with the Node that comes as a dependency.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const NEEDED = [24, 0];

function isNew([major, minor]) {
  const [here, hereMinor] = process.versions.node.split('.').map(Number);
  return here > major || (here === major && hereMinor >= minor);
}

/** The Node among our dependencies; undefined when it is not installed. */
function ownNode() {
  try {
    return createRequire(import.meta.url).resolve(`node-linux-${process.arch}/bin/node`);
  } catch {
    return undefined;
  }
}

const source = new URL('../src/cli/main.ts', import.meta.url);
const entry = existsSync(source) ? source : new URL('../dist/cli/main.js', import.meta.url);

if (isNew(NEEDED)) {
  await import(entry.href);
} else {
  const node = ownNode();
  if (node === undefined) {
    console.error(
      `shellvisor: needs Node ${NEEDED[0]} or newer, this is ${process.versions.node}; run npm ci to get one`,
    );
    process.exit(125);
  }
  const child = spawn(node, [fileURLToPath(entry), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // Ctrl-C at a terminal reaches both of us.
    process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal));
  }
  child.on('error', (error) => {
    console.error(`shellvisor: starting ${node}: ${error.message}`);
    process.exit(125);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
