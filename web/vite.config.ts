/** How the dashboard is built: into dist/, every file named by what is in it, and compressed beside itself. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import type { Plugin, UserConfig } from 'vite';

const root = import.meta.dirname;

/** Smaller ones would not travel any quicker, in bytes. */
const COMPRESSED_FROM = 1024;

/** Compresses once, as well as it can be done, what the server would have to compress for each reader. */
const precompress = (): Plugin => ({
  name: 'precompress',
  apply: 'build',
  async writeBundle({ dir = '' }) {
    const files = (await readdir(dir, { recursive: true })).filter((name) => /\.(html|js|css|svg)$/.test(name));
    await Promise.all(
      files.map(async (name) => {
        const file = join(dir, name);
        const content = await readFile(file);
        if (content.length < COMPRESSED_FROM) return;
        await writeFile(`${file}.br`, await promisify(brotliCompress)(content));
        await writeFile(`${file}.gz`, await promisify(gzip)(content, { level: 9 }));
      }),
    );
  },
});

export default {
  root,
  configFile: false,
  logLevel: 'error',
  // Of a server that is started beside it: `npx vite web --config web/vite.config.ts`.
  server: { proxy: { '/api': 'http://127.0.0.1:8080', '/manage': 'http://127.0.0.1:8080' } },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    // Browsers of the last two years: they know light-dark() and nested rules.
    target: ['chrome123', 'firefox121', 'safari17.5'],
    // The policy of the page lets it load files, nothing that stands in other files.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'assets/licenses.md' },
    reportCompressedSize: false,
  },
  plugins: [precompress()],
} satisfies UserConfig & { configFile: false };
