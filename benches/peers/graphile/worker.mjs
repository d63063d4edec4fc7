// Erasure jobs on graphile-worker, tuned: a local queue that fetches jobs in bulk, batched completion, many tasks at once,
// and named (prepared) statements. DATABASE_URL and CONCURRENCY come from the environment.
//   node worker.mjs install   makes graphile-worker's own tables
//   node worker.mjs work      works until SIGTERM
import { createHash } from 'node:crypto';
import { Logger, run, runMigrations } from 'graphile-worker';
import pg from 'pg';

const { DATABASE_URL, CONCURRENCY = '16' } = process.env;
const silent = new Logger(() => (level, message) => {
  if (level === 'error') console.error(message);
});

if (process.argv[2] === 'install') {
  await runMigrations({ connectionString: DATABASE_URL, logger: silent });
  process.exit(0);
}

const tables = ['ConversionLog', 'ConversionJob', 'PixelEventReceipt', 'SurveyResponse'];
const deletes = tables.map((table) => ({
  name: `delete-${table}`,
  text: `delete from "${table}" t using unnest($2::text[]) o(id) where t."shopId" = $1 and t."orderId" = o.id`,
}));
const verification = {
  name: 'verify',
  text: `select ${tables
    .map(
      (table) => `(select count(*) from unnest($2::text[]) o(id) cross join lateral
        (select 1 from "${table}" t where t."shopId" = $1 and t."orderId" = o.id limit 1) x)`,
    )
    .join(' + ')} as residual`,
};
const completion = {
  name: 'complete',
  text: `with audit as (insert into peer."Audit" ("jobId", "action", "metadata") values ($1, 'delete', $2)),
    receipt as (insert into peer."Receipt" ("jobId", "digest") values ($1, $3))
    insert into peer."Job" ("id", "shopId", "orders", "status", "result", "processedAt", "completedAt")
    values ($1, $4, $5, 'completed', $2, $6, clock_timestamp())`,
};

async function erase({ id, shopId, orders }, { withPgClient }) {
  const startedAt = new Date();
  await withPgClient(async (client) => {
    await client.query('begin');
    try {
      const counts = [];
      for (const statement of deletes) counts.push((await client.query({ ...statement, values: [shopId, orders] })).rowCount);
      const { residual } = (await client.query({ ...verification, values: [shopId, orders] })).rows[0];
      if (residual !== '0') throw new Error('rows survived');
      const result = JSON.stringify({
        deletedConversionLogs: counts[0],
        deletedConversionJobs: counts[1],
        deletedPixelReceipts: counts[2],
        deletedSurveyResponses: counts[3],
        residual: 0,
      });
      const digest = createHash('sha256').update(`${id}${result}`).digest();
      await client.query({ ...completion, values: [id, result, digest, shopId, orders, startedAt] });
      await client.query('commit');
    } catch (error) {
      await client.query('rollback');
      throw error;
    }
  });
}

const concurrency = Number(CONCURRENCY);
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: concurrency + 4 });
const runner = await run({
  pgPool: pool,
  logger: silent,
  noHandleSignals: true,
  taskList: { erase },
  preset: {
    worker: {
      concurrentJobs: concurrency,
      maxPoolSize: concurrency + 4,
      pollInterval: 200,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  },
});
process.on('SIGTERM', () => {
  runner
    .stop()
    .then(() => pool.end())
    .finally(() => process.exit(0));
});
