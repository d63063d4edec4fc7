-- Database roles that cannot rewrite the audit log, whatever happens in the process that uses them.
--
-- Run it as the owner of Efface's tables, after `efface migrate up`, and again after an upgrade that brings tables:
--   psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f deploy/postgres/roles.sql
-- Then make a login for each process and put it into its role:
--   CREATE ROLE efface_web LOGIN PASSWORD '…' IN ROLE efface_writer;       for --role http,worker
--   CREATE ROLE efface_clock LOGIN PASSWORD '…' IN ROLE efface_keeper;     for --role scheduler
--   CREATE ROLE efface_reader LOGIN PASSWORD '…' IN ROLE efface_auditor;   for efface export and efface audit
-- With these roles set database.auto_migrate = false: only the owner migrates. The app's own tables, which the data map
-- names, are the app's to grant: SELECT, UPDATE and DELETE on them, for efface_writer and efface_keeper.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'efface_writer') THEN CREATE ROLE efface_writer NOLOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'efface_keeper') THEN CREATE ROLE efface_keeper NOLOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'efface_auditor') THEN CREATE ROLE efface_auditor NOLOGIN; END IF;
END $$;

-- Everything but the audit log: all rights on all other tables of Efface.
GRANT SELECT, INSERT, UPDATE, DELETE ON
  "GDPRJob", "WebhookLog", "DeletionReceipt", "RetentionRun", "SchedulerLease", "LegalHold", "Suppression", "SuppressionKey",
  "SuppressionDigest", "ExportPackage", "ExportPart", "SealingKey"
  TO efface_writer, efface_keeper;

-- Every process looks first whether all migrations are applied: those of Efface, and those of the reference app where it is.
GRANT SELECT ON efface_migrations TO efface_writer, efface_keeper, efface_auditor;
DO $$
BEGIN
  IF to_regclass('efface_reference_migrations') IS NOT NULL THEN
    GRANT SELECT ON efface_reference_migrations TO efface_writer, efface_keeper, efface_auditor;
  END IF;
END $$;

-- An auditor exports evidence: the log, and the receipts. Which shop a job is of goes into the entry about the export.
GRANT SELECT ON "DeletionReceipt" TO efface_auditor;
GRANT SELECT ("id", "shopDomain") ON "GDPRJob" TO efface_auditor;

-- The log: a writer appends and reads, and that is all. It cannot even give an entry a place. An auditor's reading is an
-- entry as well.
REVOKE ALL ON "AuditLog", "AuditSpan", "AuditTree", "AuditTile", "AuditCheckpoint" FROM PUBLIC, efface_writer, efface_keeper;
GRANT SELECT ON "AuditLog", "AuditSpan", "AuditTree", "AuditTile", "AuditCheckpoint" TO efface_writer, efface_keeper, efface_auditor;
GRANT INSERT ("id", "actorType", "actorId", "action", "resourceType", "resourceId", "shopDomain", "metadata", "ipAddress",
  "salt", "createdAt") ON "AuditLog" TO efface_writer, efface_keeper, efface_auditor;

-- The keeper places, signs and prunes. The triggers hold it to placing once and pruning below the published minimum.
GRANT DELETE ON "AuditLog" TO efface_keeper;
GRANT INSERT, DELETE ON "AuditSpan" TO efface_keeper;
GRANT UPDATE ("size", "settled", "minimumIndex", "policy") ON "AuditTree" TO efface_keeper;
GRANT INSERT, UPDATE ("hashes") ON "AuditTile" TO efface_keeper;
GRANT INSERT ON "AuditCheckpoint" TO efface_keeper;
