import { readFileSync } from 'node:fs';
import t from 'tap';

interface Package {
  integrity?: string;
  resolved?: string;
  hasInstallScript?: boolean;
}

const read = (file: string) => JSON.parse(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'));
const manifest: { allowScripts: Record<string, boolean> } = read('package.json');
const lock: { packages: Record<string, Package> } = read('package-lock.json');
const packages = Object.entries(lock.packages).filter(([path]) => path !== '');

t.test('every package is pinned by the hash of what it holds, wherever it is fetched from', async (t) => {
  t.ok(packages.length > 100);
  t.same(
    packages.filter(([, { integrity = '' }]) => !/^sha512-/.test(integrity)).map(([path]) => path),
    [],
  );
  t.same(
    packages.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path),
    [],
  );
});

t.test('no package runs a program when it is installed that is not named in package.json', async (t) => {
  const names = packages
    .filter(([, { hasInstallScript }]) => hasInstallScript)
    .map(([path]) => path.replace(/^.*node_modules\//, ''));
  t.same(
    [...new Set(names)].filter((name) => !Object.hasOwn(manifest.allowScripts, name)),
    [],
  );
  t.same(
    Object.keys(manifest.allowScripts).filter((name) => !names.includes(name)),
    [],
    'nor is one named that has none',
  );
});
