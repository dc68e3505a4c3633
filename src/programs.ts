/** Where our own programs are: TypeScript in a checkout, JavaScript in a package that was built. And the dashboard. */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The path of a program, named by its place below src/ without its extension, such as `launcher/main`. */
export function pathOfProgram(name: string): string {
  return fileURLToPath(new URL(`${name}${extname(import.meta.filename)}`, import.meta.url));
}

/** Where the dashboard is built to. */
export const DASHBOARD = fileURLToPath(new URL('../web/dist', import.meta.url));
