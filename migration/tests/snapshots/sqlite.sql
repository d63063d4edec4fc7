CREATE TABLE "AuditCheckpoint" (
    "origin" text NOT NULL,
    "size" integer NOT NULL,
    "root" blob NOT NULL,
    "note" text NOT NULL,
    "keyId" text NOT NULL,
    "signedAt" text NOT NULL, PRIMARY KEY ("origin",
    "size")
);
CREATE TRIGGER "AuditCheckpoint_guard_delete" BEFORE DELETE ON "AuditCheckpoint"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER "AuditCheckpoint_guard_insert" BEFORE INSERT ON "AuditCheckpoint"
       WHEN EXISTS (SELECT 1 FROM "AuditCheckpoint" AS c WHERE c."origin" = NEW."origin" AND c."size" = NEW."size")
         OR EXISTS (SELECT 1 FROM "AuditCheckpoint" AS c WHERE c.rowid = NEW.rowid)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER "AuditCheckpoint_guard_update" BEFORE UPDATE ON "AuditCheckpoint"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TABLE "AuditLog" (
    "ordinal" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "id" text NOT NULL UNIQUE,
    "actorType" text NOT NULL,
    "actorId" text NOT NULL,
    "action" text NOT NULL,
    "resourceType" text NOT NULL,
    "resourceId" text NOT NULL,
    "shopDomain" text NULL,
    "metadata" text NULL,
    "ipAddress" text NULL,
    "createdAt" text NOT NULL,
    "salt" blob NOT NULL CHECK (length("salt") = 32));
CREATE TRIGGER "AuditLog_guard_delete" BEFORE DELETE ON "AuditLog"
       WHEN NOT coalesce((
         SELECT julianday(OLD."createdAt") < julianday('now') - 179
           AND OLD."ordinal" < s."firstOrdinal" + s."length"
           AND s."firstIndex" + OLD."ordinal" - s."firstOrdinal" < (SELECT "minimumIndex" FROM "AuditTree")
         FROM "AuditSpan" AS s WHERE s."firstOrdinal" <= OLD."ordinal" ORDER BY s."firstOrdinal" DESC LIMIT 1), false)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER "AuditLog_guard_insert" BEFORE INSERT ON "AuditLog"
       WHEN EXISTS (SELECT 1 FROM "AuditLog" WHERE "id" = NEW."id" OR "ordinal" = NEW."ordinal")
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER "AuditLog_guard_update" BEFORE UPDATE ON "AuditLog"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE INDEX "AuditLog_createdAt_idx" ON "AuditLog" ("createdAt");
CREATE INDEX "AuditLog_resourceType_resourceId_idx" ON "AuditLog" ("resourceType", "resourceId");

CREATE TABLE "AuditSpan" (
    "firstIndex" integer NOT NULL,
    "firstOrdinal" integer NOT NULL,
    "length" integer NOT NULL, PRIMARY KEY ("firstIndex")
);
CREATE TRIGGER "AuditSpan_guard" BEFORE UPDATE ON "AuditSpan"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER "AuditSpan_guard_delete" BEFORE DELETE ON "AuditSpan"
       WHEN OLD."firstIndex" + OLD."length" > (SELECT "minimumIndex" FROM "AuditTree")
         OR EXISTS (SELECT 1 FROM "AuditLog" AS a
                    WHERE a."ordinal" >= OLD."firstOrdinal" AND a."ordinal" < OLD."firstOrdinal" + OLD."length")
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER "AuditSpan_guard_insert" BEFORE INSERT ON "AuditSpan"
       WHEN NOT (NEW."length" >= 1 AND NEW."firstIndex" >= (SELECT "minimumIndex" FROM "AuditTree")
         AND NEW."firstIndex" = coalesce((SELECT s."firstIndex" + s."length" FROM "AuditSpan" AS s ORDER BY s."firstIndex" DESC LIMIT 1),
           NEW."firstIndex")
         AND NEW."firstIndex" + NEW."length" <= (SELECT "size" FROM "AuditTree")
         AND NEW."length" = (SELECT count(*) FROM "AuditLog" AS a
                             WHERE a."ordinal" >= NEW."firstOrdinal" AND a."ordinal" < NEW."firstOrdinal" + NEW."length")
         AND NOT EXISTS (SELECT 1 FROM "AuditSpan" AS s
                         WHERE s."firstOrdinal" >= NEW."firstOrdinal" AND s."firstOrdinal" < NEW."firstOrdinal" + NEW."length")
         AND coalesce((SELECT s."firstOrdinal" + s."length" FROM "AuditSpan" AS s WHERE s."firstOrdinal" < NEW."firstOrdinal"
                       ORDER BY s."firstOrdinal" DESC LIMIT 1) <= NEW."firstOrdinal", true))
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER "AuditSpan_guard_replace" BEFORE INSERT ON "AuditSpan"
       WHEN EXISTS (SELECT 1 FROM "AuditSpan" WHERE rowid = NEW.rowid)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE UNIQUE INDEX "AuditSpan_firstOrdinal_key" ON "AuditSpan" ("firstOrdinal");

CREATE TABLE "AuditTile" (
    "level" integer NOT NULL,
    "number" integer NOT NULL,
    "hashes" blob NOT NULL, PRIMARY KEY ("level",
    "number")
);
CREATE TRIGGER "AuditTile_guard" BEFORE UPDATE ON "AuditTile"
       WHEN NEW."level" <> OLD."level" OR NEW."number" <> OLD."number"
         OR substr(NEW."hashes", 1, length(OLD."hashes")) IS NOT OLD."hashes"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER "AuditTile_guard_delete" BEFORE DELETE ON "AuditTile"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER "AuditTile_guard_insert" BEFORE INSERT ON "AuditTile"
       WHEN EXISTS (SELECT 1 FROM "AuditTile" AS t WHERE t."level" = NEW."level" AND t."number" = NEW."number"
                    AND substr(NEW."hashes", 1, length(t."hashes")) IS NOT t."hashes")
         OR EXISTS (SELECT 1 FROM "AuditTile" AS t WHERE t.rowid = NEW.rowid)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TABLE "AuditTree" (
    "id" text NOT NULL PRIMARY KEY,
    "origin" text NOT NULL,
    "size" integer NOT NULL DEFAULT 0,
    "minimumIndex" integer NOT NULL DEFAULT 0,
    "policy" text NULL ,
    "settled" integer NOT NULL DEFAULT 0);
CREATE TRIGGER "AuditTree_guard" BEFORE UPDATE ON "AuditTree"
       WHEN NEW."id" IS NOT OLD."id" OR NEW."origin" IS NOT OLD."origin" OR NEW."size" < OLD."size"
         OR NEW."minimumIndex" < OLD."minimumIndex" OR NEW."minimumIndex" > NEW."size"
         OR (NEW."minimumIndex" <> OLD."minimumIndex"
             AND instr(coalesce(NEW."policy", ''), char(10) || 'minimum-index ' || NEW."minimumIndex" || char(10)) = 0)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER "AuditTree_guard_delete" BEFORE DELETE ON "AuditTree"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER "AuditTree_guard_insert" BEFORE INSERT ON "AuditTree" WHEN EXISTS (SELECT 1 FROM "AuditTree")
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TABLE "ConversionJob" (
    "id" text NOT NULL PRIMARY KEY,
    "shopId" text NOT NULL,
    "orderId" text NOT NULL,
    "orderNumber" text NULL,
    "orderValue" real(10, 2),
    "currency" text NOT NULL DEFAULT 'USD',
    "capiInput" text NULL,
    "status" text NOT NULL DEFAULT 'queued',
    "attempts" integer NOT NULL DEFAULT 0,
    "errorMessage" text NULL,
    "createdAt" datetime_text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    "processedAt" datetime_text,
    "completedAt" datetime_text,
    FOREIGN KEY ("shopId") REFERENCES "Shop" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "efface_ConversionJob_key" ON "ConversionJob" ("shopId", "orderId");
CREATE INDEX "efface_ConversionJob_shopId_createdAt_idx" ON "ConversionJob" ("shopId", "createdAt");

CREATE TABLE "ConversionLog" (
    "id" text NOT NULL PRIMARY KEY,
    "shopId" text NOT NULL,
    "orderId" text NOT NULL,
    "orderNumber" text NULL,
    "orderValue" real(10, 2),
    "currency" text NOT NULL DEFAULT 'USD',
    "eventId" text NULL,
    "platform" text NOT NULL DEFAULT 'meta',
    "eventType" text NOT NULL DEFAULT 'purchase',
    "status" text NOT NULL DEFAULT 'pending',
    "attempts" integer NOT NULL DEFAULT 0,
    "errorMessage" text NULL,
    "platformResponse" text NULL,
    "createdAt" datetime_text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    "sentAt" datetime_text,
    FOREIGN KEY ("shopId") REFERENCES "Shop" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "efface_ConversionLog_key" ON "ConversionLog" ("shopId", "orderId", "platform", "eventType");
CREATE INDEX "efface_ConversionLog_shopId_createdAt_idx" ON "ConversionLog" ("shopId", "createdAt");
CREATE INDEX "efface_ConversionLog_shopId_orderId_idx" ON "ConversionLog" ("shopId", "orderId");

CREATE TABLE "DeletionReceipt" (
    "id" text NOT NULL PRIMARY KEY,
    "jobId" text NOT NULL,
    "shopDomain" text NOT NULL,
    "jobType" text NOT NULL,
    "outcome" text NOT NULL,
    "envelope" blob NOT NULL,
    "keyId" text NOT NULL,
    "createdAt" text NOT NULL,
    "expiresAt" text NOT NULL
);
CREATE UNIQUE INDEX "DeletionReceipt_jobId_key" ON "DeletionReceipt" ("jobId");

CREATE TABLE "ExportPackage" (
    "id" text NOT NULL PRIMARY KEY,
    "jobId" text NOT NULL,
    "shopDomain" text NOT NULL,
    "status" text NOT NULL,
    "rowsTotal" integer NOT NULL DEFAULT 0,
    "counts" text NOT NULL,
    "createdAt" text NOT NULL,
    "readyAt" text NULL,
    "expiresAt" text NOT NULL,
    "removedAt" text NULL ,
    "contents" text NULL,
    "receivedAt" text NULL,
    "linkDigest" blob NULL,
    "linkExpiresAt" text NULL,
    "linkRecipient" text NULL,
    "linkTries" integer NOT NULL DEFAULT 0,
    "linkUsedAt" text NULL);
CREATE UNIQUE INDEX "ExportPackage_jobId_key" ON "ExportPackage" ("jobId");

CREATE TABLE "ExportPart" (
    "id" text NOT NULL PRIMARY KEY,
    "packageId" text NOT NULL,
    "sequence" integer NOT NULL,
    "tableName" text NOT NULL,
    "rows" integer NOT NULL,
    "sealed" blob NOT NULL
);
CREATE UNIQUE INDEX "ExportPart_packageId_sequence_key" ON "ExportPart" ("packageId", "sequence");

CREATE TABLE "GDPRJob" (
    "id" text NOT NULL PRIMARY KEY,
    "shopDomain" text NOT NULL,
    "shopId" text NULL,
    "jobType" text NOT NULL,
    "status" text NOT NULL,
    "outcome" text NULL,
    "topic" text NOT NULL,
    "provider" text NOT NULL,
    "source" text NOT NULL,
    "payload" text NOT NULL,
    "sealedPayload" blob NULL,
    "bodyDigest" text NOT NULL,
    "result" text NULL,
    "progress" text NULL,
    "errorMessage" text NULL,
    "holdReason" text NULL,
    "attempts" integer NOT NULL DEFAULT 0,
    "fence" integer NOT NULL DEFAULT 0,
    "leaseUntil" text NULL,
    "leaseOwner" text NULL,
    "webhookId" text NOT NULL,
    "eventId" text NULL,
    "triggeredAt" text NULL,
    "createdAt" text NOT NULL,
    "dueAt" text NOT NULL,
    "scheduledAt" text NOT NULL,
    "processedAt" text NULL,
    "verifiedAt" text NULL,
    "completedAt" text NULL,
    "updatedAt" text NOT NULL ,
    "planHash" text NULL,
    "approvedPlan" text NULL);
CREATE INDEX "GDPRJob_dueAt_idx" ON "GDPRJob" ("dueAt") WHERE "status" IN ('queued', 'processing', 'retrying', 'held', 'failed');
CREATE INDEX "GDPRJob_leaseUntil_idx" ON "GDPRJob" ("leaseUntil") WHERE "status" = 'processing';
CREATE INDEX "GDPRJob_scheduledAt_id_idx" ON "GDPRJob" ("scheduledAt", "id") WHERE "status" IN ('queued', 'retrying');
CREATE INDEX "GDPRJob_shopDomain_id_idx" ON "GDPRJob" ("shopDomain", "id");

CREATE TABLE "LegalHold" (
    "id" text NOT NULL PRIMARY KEY,
    "scope" text NOT NULL,
    "shopDomain" text NULL,
    "tableName" text NULL,
    "reason" text NOT NULL,
    "placedBy" text NOT NULL,
    "placedAt" text NOT NULL,
    "reviewAt" text NULL,
    "releasedAt" text NULL,
    "releasedBy" text NULL ,
    "subject" text NULL);
CREATE INDEX "LegalHold_shopDomain_idx" ON "LegalHold" ("shopDomain") WHERE "releasedAt" IS NULL;

CREATE TABLE "PixelEventReceipt" (
    "id" text NOT NULL PRIMARY KEY,
    "shopId" text NOT NULL,
    "orderId" text NOT NULL,
    "eventType" text NOT NULL DEFAULT 'purchase',
    "eventId" text NULL,
    "checkoutToken" text NULL,
    "pixelTimestamp" datetime_text,
    "consentState" text NULL,
    "trustLevel" text NULL,
    "originHost" text NULL,
    "metadata" text NULL,
    "createdAt" datetime_text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    FOREIGN KEY ("shopId") REFERENCES "Shop" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "efface_PixelEventReceipt_key" ON "PixelEventReceipt" ("shopId", "orderId", "eventType");
CREATE INDEX "efface_PixelEventReceipt_shopId_createdAt_idx" ON "PixelEventReceipt" ("shopId", "createdAt");
CREATE INDEX "efface_PixelEventReceipt_shopId_orderId_idx" ON "PixelEventReceipt" ("shopId", "orderId");

CREATE TABLE "ReconciliationReport" (
    "id" text NOT NULL PRIMARY KEY,
    "shopId" text NOT NULL,
    "platform" text NOT NULL DEFAULT 'meta',
    "reportDate" date_text NOT NULL,
    "shopifyOrders" integer NOT NULL DEFAULT 0,
    "shopifyRevenue" real(10, 2) NOT NULL DEFAULT 0,
    "platformConversions" integer NOT NULL DEFAULT 0,
    "platformRevenue" real(10, 2) NOT NULL DEFAULT 0,
    "orderDiscrepancy" double NOT NULL DEFAULT 0,
    "revenueDiscrepancy" double NOT NULL DEFAULT 0,
    "status" text NOT NULL DEFAULT 'pending',
    "createdAt" datetime_text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    FOREIGN KEY ("shopId") REFERENCES "Shop" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "efface_ReconciliationReport_key" ON "ReconciliationReport" ("shopId", "platform", "reportDate");
CREATE INDEX "efface_ReconciliationReport_shopId_createdAt_idx" ON "ReconciliationReport" ("shopId", "createdAt");

CREATE TABLE "RetentionRun" (
    "id" text NOT NULL PRIMARY KEY,
    "trigger" text NOT NULL,
    "policy" text NOT NULL,
    "tableName" text NOT NULL,
    "cutoff" text NULL,
    "rowsPurged" integer NOT NULL DEFAULT 0,
    "rowsHeld" integer NOT NULL DEFAULT 0,
    "batches" integer NOT NULL DEFAULT 0,
    "strategy" text NULL,
    "dryRun" boolean NOT NULL DEFAULT FALSE,
    "limitReached" boolean NOT NULL DEFAULT FALSE,
    "error" text NULL,
    "startedAt" text NOT NULL,
    "finishedAt" text NULL ,
    "sweepId" text NULL,
    "store" text NOT NULL DEFAULT 'default',
    "rowsDue" integer NOT NULL DEFAULT 0,
    "because" text NULL,
    "longestMs" integer NOT NULL DEFAULT 0,
    "vacuumed" boolean NOT NULL DEFAULT FALSE,
    "resume" text NULL);
CREATE INDEX "RetentionRun_policy_id_idx" ON "RetentionRun" ("policy", "id");

CREATE TABLE "SchedulerLease" (
    "name" text NOT NULL PRIMARY KEY,
    "owner" text NOT NULL,
    "fence" integer NOT NULL,
    "leaseUntil" text NOT NULL,
    "slotAt" text NULL
);

CREATE TABLE "SealingKey" (
    "id" text NOT NULL PRIMARY KEY,
    "purpose" text NOT NULL,
    "wrappedKey" blob NULL,
    "kekId" text NOT NULL,
    "createdAt" text NOT NULL,
    "destroyedAt" text NULL
);

CREATE TABLE "Shop" (
    "id" text NOT NULL PRIMARY KEY,
    "shopDomain" text NOT NULL,
    "email" text NULL,
    "name" text NULL,
    "plan" text NULL,
    "installedAt" datetime_text NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    "uninstalledAt" datetime_text,
    "isActive" boolean NOT NULL DEFAULT TRUE,
    "dataRetentionDays" integer NOT NULL DEFAULT 90,
    "createdAt" datetime_text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    "updatedAt" datetime_text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE UNIQUE INDEX "efface_Shop_key" ON "Shop" ("shopDomain");

CREATE TABLE "Suppression" (
    "createdAt" text NOT NULL,
    "jobId" text NOT NULL,
    "shopDomain" text NOT NULL,
    "shopId" text NULL,
    "purpose" text NOT NULL,
    "keyId" text NOT NULL,
    "digests" blob NOT NULL,
    "shopKeys" text NULL,
    "expiresAt" text NOT NULL,
    "sweepsDone" integer NOT NULL DEFAULT 0,
    "nextSweepAt" text NULL, PRIMARY KEY ("createdAt",
    "jobId")
);
CREATE INDEX "Suppression_expiresAt_idx" ON "Suppression" ("expiresAt") WHERE "nextSweepAt" IS NULL;
CREATE INDEX "Suppression_nextSweepAt_idx" ON "Suppression" ("nextSweepAt") WHERE "nextSweepAt" IS NOT NULL;

CREATE TABLE "SuppressionDigest" (
    "digest" blob NOT NULL PRIMARY KEY,
    "expiresAt" text NOT NULL
);
CREATE INDEX "SuppressionDigest_expiresAt_idx" ON "SuppressionDigest" ("expiresAt");

CREATE TABLE "SuppressionKey" (
    "shopDomain" text NOT NULL,
    "keyId" text NOT NULL,
    "inner" blob NOT NULL,
    "outer" blob NOT NULL, PRIMARY KEY ("shopDomain",
    "keyId")
);

CREATE TABLE "SurveyResponse" (
    "id" text NOT NULL PRIMARY KEY,
    "shopId" text NOT NULL,
    "orderId" text NOT NULL,
    "orderNumber" text NULL,
    "rating" integer NULL,
    "feedback" text NULL,
    "source" text NULL,
    "customAnswers" text NULL,
    "createdAt" datetime_text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    FOREIGN KEY ("shopId") REFERENCES "Shop" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "efface_SurveyResponse_shopId_createdAt_idx" ON "SurveyResponse" ("shopId", "createdAt");
CREATE INDEX "efface_SurveyResponse_shopId_orderId_idx" ON "SurveyResponse" ("shopId", "orderId");

CREATE TABLE "WebhookLog" (
    "id" text NOT NULL PRIMARY KEY,
    "shopDomain" text NOT NULL,
    "webhookId" text NOT NULL,
    "topic" text NOT NULL,
    "eventId" text NULL,
    "provider" text NOT NULL,
    "source" text NOT NULL,
    "apiVersion" text NULL,
    "bodyDigest" text NOT NULL,
    "jobKey" text NULL,
    "status" text NOT NULL,
    "reason" text NULL,
    "jobId" text NULL,
    "deliveries" integer NOT NULL DEFAULT 1,
    "triggeredAt" text NULL,
    "receivedAt" text NOT NULL
);
CREATE UNIQUE INDEX "WebhookLog_jobKey_key" ON "WebhookLog" ("jobKey") WHERE "jobKey" IS NOT NULL;
CREATE INDEX "WebhookLog_receivedAt_idx" ON "WebhookLog" ("receivedAt");
CREATE UNIQUE INDEX "WebhookLog_shopDomain_webhookId_topic_key" ON "WebhookLog" ("shopDomain", "webhookId", "topic");

CREATE TABLE "efface_migrations" (
    "version" varchar NOT NULL PRIMARY KEY,
    "applied_at" integer NOT NULL
);

CREATE TABLE "efface_reference_migrations" (
    "version" varchar NOT NULL PRIMARY KEY,
    "applied_at" integer NOT NULL
);
