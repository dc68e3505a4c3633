/** The command line for people: `shellvisor --help`. */
import { fail } from './errors.ts';
import { createProgram } from './program.ts';
import { noticeReaders } from './terminal.ts';

noticeReaders();
await createProgram().parseAsync().catch(fail);
