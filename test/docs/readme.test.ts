import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { configVariables } from '../helpers/variables.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, ROOT), 'utf8');

/** What we look at of a README. */
interface Readme {
  file: string;
  blocks: { language: string; code: string }[];
  /** The level of each heading. */
  headings: number[];
  /** Cells by table and row; the row of dashes is none. */
  tables: string[][][];
  links: string[];
}

function readReadme(file: string): Readme {
  const text = read(file);
  const fence = /^```(\w*)\n(.*?)^```$/gms;
  const blocks = [...text.matchAll(fence)].map(([, language = '', code = '']) => ({ language, code }));
  // A comment in a block of shell would look like a heading.
  const prose = text.replaceAll(fence, '');
  const headings = [...prose.matchAll(/^(#+) /gm)].map(([, marks = '']) => marks.length);
  const tables = [...prose.matchAll(/(?:^\|.*\n)+/gm)].map(([table]) => rowsOf(table));
  const links = [...prose.matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
  return { file, blocks, headings, tables, links };
}

function rowsOf(table: string): string[][] {
  const rows = table.trimEnd().split('\n');
  return rows
    .filter((row) => !/^[|\s-]+$/.test(row))
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const english = readReadme('README.md');
const russian = readReadme('README.ru.md');
const readmes = [english, russian];

/** Names, values and codes: what is the same in every language. Each once, since sentences are built differently. */
const codesOf = (cell: string) => [...new Set(cell.match(/`[^`]+`|\b\d{3}\b/g))].sort();

t.test('both show the same commands and the same answers', async (t) => {
  for (const language of ['sh', 'json']) {
    const [ours, theirs] = readmes.map(({ blocks }) => blocks.filter((block) => block.language === language));
    t.ok(ours?.length, `there are blocks of ${language}`);
    t.same(theirs, ours, language);
  }
  t.equal(russian.blocks.length, english.blocks.length);
});

t.test('both have the same headings and tables', async (t) => {
  t.ok(english.headings.length);
  t.ok(english.tables.length);
  t.same(russian.headings, english.headings);
  const [ours, theirs] = readmes.map(({ tables }) => tables.map((rows) => rows.map((row) => row.map(codesOf))));
  t.same(theirs, ours, 'row by row they speak of the same names, values and status codes');
});

t.test('the first link of each leads to the other', async (t) => {
  t.equal(english.links[0], 'README.ru.md');
  t.equal(russian.links[0], 'README.md');
});

t.test('both list the variables of the configuration, and no others, with their defaults', async (t) => {
  const expected = [...configVariables()].map(([name, fallback]) => [
    `\`${name}\``,
    fallback === undefined ? '' : `\`${fallback}\``,
  ]);
  for (const { file, tables } of readmes) {
    const table = tables.find((rows) => rows.some(([name]) => name === '`PORT`')) ?? [];
    const documented = table.slice(1).map(([name = '', fallback = '']) => [name, fallback]);
    t.same(Object.fromEntries(documented), Object.fromEntries(expected), file);
  }
});

t.test('both show each operation of the OpenAPI document with a curl, and no other', async (t) => {
  const document: { paths: Record<string, object> } = parse(read('docs/open-api.yml'));
  const operations = Object.entries(document.paths)
    .filter(([path]) => /^\/(api|manage)\//.test(path))
    .flatMap(([path, item]) => Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`));
  t.ok(operations.length);
  for (const { file, blocks } of readmes) {
    const shown = blocks.filter(({ code }) => code.startsWith('curl ')).map(({ code }) => operationOf(code));
    t.same([...new Set(shown)].sort(), operations.sort(), file);
  }
});

/** What a curl asks for, as OpenAPI writes it. */
function operationOf(curl: string): string {
  const [, path = ''] = /http:\/\/localhost(?::8080)?([^\s'?]*)/.exec(curl) ?? [];
  const method = / -X (\w+)/.exec(curl)?.[1] ?? (/ -d /.test(curl) ? 'POST' : 'GET');
  return `${method} ${path.replaceAll(/\$(\w+)/g, '{$1}')}`;
}

t.test('every relative link of both leads to a file or folder', async (t) => {
  for (const { file, links } of readmes) {
    for (const link of links.filter((target) => !/^(\w+:|#)/.test(target))) {
      t.ok(existsSync(new URL(link.replace(/#.*/, ''), ROOT)), `${file}: ${link}`);
    }
  }
});
