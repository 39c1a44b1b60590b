// The pages' scripts have no build step, but they have types: JSDoc, checked as strictly as TypeScript can.
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

test('the types of the scripts in web/ hold', async () => {
  const folder = fileURLToPath(new URL('..', import.meta.url));
  const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
  await promisify(execFile)(process.execPath, [compiler, '--project', folder]).catch(({ stdout }) => {
    throw new Error(stdout);
  });
});
