/** Which version of shellvisor this is. */
import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** As npm has it, such as `1.2.3`. */
export const VERSION: string = version;
