/** Another version of shellvisor, to run beside this one. */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from './scope.ts';
import { CHECKOUT, temporaryFolder } from './server.ts';

/** What a migration may do that nodes of the version before have to live with: it only adds. */
const MIGRATION = `-- Up Migration

ALTER TABLE commands ADD COLUMN next_number integer NOT NULL DEFAULT 7, ADD COLUMN next_text text;
ALTER TABLE nodes ADD COLUMN next_text text;
CREATE INDEX next_commands ON commands (next_number) WHERE next_text IS NOT NULL;
CREATE TABLE next_things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, thing text NOT NULL);

-- Down Migration

DROP TABLE next_things;
DROP INDEX next_commands;
ALTER TABLE nodes DROP COLUMN next_text;
ALTER TABLE commands DROP COLUMN next_text, DROP COLUMN next_number;
`;

/** The version of the checkout in a folder. */
export const versionOf = (checkout: string): string =>
  JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')).version;

/** Makes the version after this one: the same program with a number and a migration of its own. @returns its folder. */
export function nextVersion(t: Scope): string {
  const folder = temporaryFolder(t);
  for (const name of ['src', 'postgres', 'docs', 'package.json']) {
    cpSync(join(CHECKOUT, name), join(folder, name), { recursive: true });
  }
  for (const name of ['node_modules', 'web']) symlinkSync(join(CHECKOUT, name), join(folder, name));
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...about, version: `${about.version}-next` }));
  writeFileSync(join(folder, 'postgres', '9999_next.sql'), MIGRATION);
  return folder;
}
