/** A program: an owner of working folders in the root that it is given, until it is killed. It says the path of the one that it makes. */
import { randomUUID } from 'node:crypto';
import { createSpawner } from '../../src/os/spawn.ts';
import { WorkFolders } from '../../src/scripts/work-folders.ts';

const [, , root = ''] = process.argv;
const env = { PATH: process.env.PATH as string };
const spawner = await createSpawner();
const work = new WorkFolders({ root, spawner, bash: '/bin/bash', env, flock: '/usr/bin/flock', sweepMs: 100 });
process.stdout.write(`${work.make(randomUUID())}\n`);
process.stdin.resume();
