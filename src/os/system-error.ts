import { constants } from 'node:os';

const names = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** A failed system call. */
export function systemError(call: string, errno: number): Error {
  return new Error(`${call} failed with ${names.get(errno) ?? `errno ${errno}`}`);
}
