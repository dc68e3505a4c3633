/** The bare limit of reading: Fastify and Slonik with nothing between them, one look-up by a unique key a request. */
import fastify from 'fastify';
import { createPool, sql } from 'slonik';
import { z } from 'zod';

const [databaseUrl = ''] = process.argv.slice(2);
// As many connections as the server has for reads, and as few round trips: Slonik's own reset would double them.
const pool = await createPool(databaseUrl, { maxPoolSize: 8, resetConnection: async () => {} });
pool.on('error', () => {});
const Row = z.object({ command_uuid: z.string(), description: z.string(), script: z.string(), status: z.string() });

const app = fastify();
app.get<{ Params: { uuid: string } }>('/:uuid', ({ params }) =>
  pool.one(sql.type(Row)`
    SELECT command_uuid, description, script, status FROM commands WHERE command_uuid = ${params.uuid}`),
);
process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }));
