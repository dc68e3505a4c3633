/** What a client hands to its script, as JSON: with the same names in requests, in answers and in the database. */
import { z } from 'zod';
import type { ShownInputs, StoredRequest } from './command.ts';

/** Inputs as they are stored and shown: only those that the client gave. What stdin reads is stored beside them. */
export const InputsJson = z.object({
  env: z.record(z.string(), z.string()).optional().describe('Environment variables'),
  cwd: z.string().optional().describe('The folder that it started in'),
  args: z.array(z.string()).optional().describe('Its arguments'),
  secret_env: z.array(z.string()).optional().describe('The names of its secrets; their values are stored nowhere'),
  stdin_bytes: z.int().min(0).optional().describe('How many bytes its stdin has'),
});
export type InputsJson = z.infer<typeof InputsJson>;

/** What shows of a request. */
export function shownInputs({ inputs: { stdin, ...inputs }, secretNames }: StoredRequest): ShownInputs {
  return { ...inputs, stdinBytes: stdin?.length, secretNames: secretNames.length === 0 ? undefined : secretNames };
}

export function inputsFromJson({ env, cwd, args, secret_env, stdin_bytes }: InputsJson): ShownInputs {
  return { env, cwd, args, secretNames: secret_env, stdinBytes: stdin_bytes };
}

export function inputsToJson({ env, cwd, args, secretNames, stdinBytes }: ShownInputs): InputsJson {
  return {
    env: env && { ...env },
    cwd,
    args: args && [...args],
    secret_env: secretNames && [...secretNames],
    stdin_bytes: stdinBytes,
  };
}
