/** What a client hands to its script, as JSON: with the same names in requests, in answers and in the database. */
import { z } from 'zod';
import type { RunInputs } from './command.ts';

/** Inputs as they are stored and shown: only those that the client gave. */
export const InputsJson = z.object({
  env: z.record(z.string(), z.string()).optional().describe('Environment variables'),
  cwd: z.string().optional().describe('The folder that it started in'),
  args: z.array(z.string()).optional().describe('Its arguments'),
});
export type InputsJson = z.infer<typeof InputsJson>;

export function inputsFromJson({ env, cwd, args }: InputsJson): RunInputs {
  return { env, cwd, args };
}

export function inputsToJson({ env, cwd, args }: RunInputs): InputsJson {
  return { env: env && { ...env }, cwd, args: args && [...args] };
}
