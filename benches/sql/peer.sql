-- Where the peers keep what Efface keeps in its own tables: a job's state, its audit entry and its receipt.
create schema peer;
create table peer."Job" (
  "id" bigint primary key,
  "shopId" text not null,
  "orders" text[] not null,
  "status" text not null default 'queued',
  "attempts" integer not null default 0,
  "fence" bigint not null default 0,
  "result" jsonb,
  "createdAt" timestamptz not null default now(),
  "processedAt" timestamptz,
  "completedAt" timestamptz
);
create index on peer."Job" ("id") where "status" = 'queued';
create table peer."Audit" (
  "id" bigint generated always as identity primary key,
  "jobId" bigint not null,
  "action" text not null,
  "metadata" jsonb not null,
  "createdAt" timestamptz not null default clock_timestamp()
);
create table peer."Receipt" (
  "jobId" bigint primary key,
  "digest" bytea not null,
  "createdAt" timestamptz not null default clock_timestamp()
);
