/** What clients have sent, in full but for their secrets. */
import { sql } from 'slonik';
import { z } from 'zod';
import type { StoredRequest } from '../../command.ts';
import { type Connection, storedInputs, storedOptions } from './connection.ts';

/** What the script of a command `c` is given. */
export const selectInputs = sql.fragment`coalesce(c.inputs, '{}') AS inputs, c.stdin`;
export const inputColumns = { inputs: storedInputs, stdin: z.instanceof(Buffer).nullable() };
const inputRow = z.object(inputColumns);

export function inputsOf(row: z.output<typeof inputRow>): Pick<StoredRequest, 'inputs' | 'secretNames'> {
  const { env, cwd, args, secretNames = [] } = row.inputs;
  return { inputs: { env, cwd, args, stdin: row.stdin ?? undefined }, secretNames };
}

const requestRow = inputRow
  .extend({
    description: z.string(),
    script: z.string(),
    durable: z.boolean(),
    options: storedOptions,
    labels: z.record(z.string(), z.string()).nullable(),
  })
  .transform(
    ({ description, script, durable, options, labels, ...row }): StoredRequest => ({
      description,
      script,
      durable,
      options,
      labels: labels ?? {},
      ...inputsOf(row),
    }),
  );

export function selectRequest(db: Connection, uuid: string): Promise<StoredRequest | null> {
  return db.maybeOne(sql.type(requestRow)`
    SELECT c.description, c.script, c.durable, c.options, c.labels, ${selectInputs}
    FROM commands c WHERE c.command_uuid = ${uuid}`);
}
