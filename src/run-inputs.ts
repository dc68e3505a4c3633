/** What a client hands to its script, as JSON: with the same names in requests, in answers and in the database. */
import { z } from 'zod';
import type { RunInputs, ShownInputs } from './command.ts';

/** Inputs as they are stored and shown: only those that the client gave. What stdin reads is stored beside them. */
export const InputsJson = z.object({
  env: z.record(z.string(), z.string()).optional().describe('Environment variables'),
  cwd: z.string().optional().describe('The folder that it started in'),
  args: z.array(z.string()).optional().describe('Its arguments'),
  stdin_bytes: z.int().min(0).optional().describe('How many bytes its stdin has'),
});
export type InputsJson = z.infer<typeof InputsJson>;

export function shownInputs({ stdin, ...inputs }: RunInputs): ShownInputs {
  return { ...inputs, stdinBytes: stdin?.length };
}

export function inputsFromJson({ env, cwd, args, stdin_bytes }: InputsJson): ShownInputs {
  return { env, cwd, args, stdinBytes: stdin_bytes };
}

export function inputsToJson({ env, cwd, args, stdinBytes }: ShownInputs): InputsJson {
  return { env: env && { ...env }, cwd, args: args && [...args], stdin_bytes: stdinBytes };
}
