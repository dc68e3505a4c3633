/** Postman's collection runner; it has no types of its own. */
import { createRequire } from 'node:module';

/** What we use of its report. */
export interface CollectionReport {
  run: {
    /** One for each request that was sent. */
    executions: {
      item: { name: string };
      request: { method: string; url: { getPath(): string } };
      response?: { code: number };
      assertions?: object[];
    }[];
    failures: { source?: { name?: string }; error: { test?: string; message: string } }[];
  };
}

interface Newman {
  run(
    options: { collection: string; envVar: { key: string; value: string }[]; timeout: number },
    done: (error: Error | null, report: CollectionReport) => void,
  ): void;
}

const newman: Newman = createRequire(import.meta.url)('newman');

/** Runs a collection of Postman with these variables. @throws when that takes longer than 100 s. */
export function runCollection(collection: string, variables: Record<string, string>): Promise<CollectionReport> {
  const envVar = Object.entries(variables).map(([key, value]) => ({ key, value }));
  const options = { collection, envVar, timeout: 100_000 };
  return new Promise((resolve, reject) => {
    newman.run(options, (error, report) => (error ? reject(error) : resolve(report)));
  });
}
