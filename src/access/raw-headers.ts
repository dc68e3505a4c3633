/** Headers as they came over the line. */
import type { IncomingMessage } from 'node:http';

/**
 * How often a header came, whatever the case of its name. Node keeps only the first of some: what stands in front of us may
 * have looked at another. @param name in lower case.
 */
export function countOf({ rawHeaders }: IncomingMessage, name: string): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const other = rawHeaders[i] as string;
    // Few names are as long, and this is done for each request.
    if (other.length === name.length && other.toLowerCase() === name) count++;
  }
  return count;
}
