CREATE TABLE "AuditCheckpoint" (
    origin text NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    "keyId" text NOT NULL,
    "signedAt" timestamp with time zone NOT NULL,
    CONSTRAINT "AuditCheckpoint_pkey" PRIMARY KEY (origin, size)
);

CREATE TABLE "AuditLog" (
    id text NOT NULL,
    "actorType" text NOT NULL,
    "actorId" text NOT NULL,
    action text NOT NULL,
    "resourceType" text NOT NULL,
    "resourceId" text NOT NULL,
    "shopDomain" text,
    metadata jsonb,
    "ipAddress" text,
    "createdAt" timestamp with time zone NOT NULL,
    salt bytea NOT NULL,
    ordinal bigint NOT NULL,
    CONSTRAINT "AuditLog_pkey" PRIMARY KEY (id),
    CONSTRAINT "AuditLog_salt_check" CHECK ((octet_length(salt) = 32))
);
CREATE INDEX "AuditLog_createdAt_idx" ON public."AuditLog" USING btree ("createdAt");
CREATE UNIQUE INDEX "AuditLog_ordinal_key" ON public."AuditLog" USING btree (ordinal);
CREATE INDEX "AuditLog_resourceType_resourceId_idx" ON public."AuditLog" USING btree ("resourceType", "resourceId");

CREATE TABLE "AuditSpan" (
    "firstIndex" bigint NOT NULL,
    "firstOrdinal" bigint NOT NULL,
    length bigint NOT NULL,
    CONSTRAINT "AuditSpan_pkey" PRIMARY KEY ("firstIndex")
);
CREATE UNIQUE INDEX "AuditSpan_firstOrdinal_key" ON public."AuditSpan" USING btree ("firstOrdinal");

CREATE TABLE "AuditTile" (
    level integer NOT NULL,
    number bigint NOT NULL,
    hashes bytea NOT NULL,
    CONSTRAINT "AuditTile_pkey" PRIMARY KEY (level, number)
);

CREATE TABLE "AuditTree" (
    id text NOT NULL,
    origin text NOT NULL,
    size bigint NOT NULL DEFAULT 0,
    "minimumIndex" bigint NOT NULL DEFAULT 0,
    policy text,
    settled bigint NOT NULL DEFAULT 0,
    CONSTRAINT "AuditTree_pkey" PRIMARY KEY (id)
);

CREATE TABLE "ConversionJob" (
    id text NOT NULL,
    "shopId" text NOT NULL,
    "orderId" text NOT NULL,
    "orderNumber" text,
    "orderValue" numeric(10,2),
    currency text NOT NULL DEFAULT 'USD'::text,
    "capiInput" jsonb,
    status text NOT NULL DEFAULT 'queued'::text,
    attempts integer NOT NULL DEFAULT 0,
    "errorMessage" text,
    "createdAt" timestamp(3) without time zone NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'::text),
    "processedAt" timestamp(3) without time zone,
    "completedAt" timestamp(3) without time zone,
    CONSTRAINT "ConversionJob_pkey" PRIMARY KEY (id),
    CONSTRAINT "ConversionJob_shopId_fkey" FOREIGN KEY ("shopId") REFERENCES "Shop"(id) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE UNIQUE INDEX "efface_ConversionJob_key" ON public."ConversionJob" USING btree ("shopId", "orderId");
CREATE INDEX "efface_ConversionJob_shopId_createdAt_idx" ON public."ConversionJob" USING btree ("shopId", "createdAt");

CREATE TABLE "ConversionLog" (
    id text NOT NULL,
    "shopId" text NOT NULL,
    "orderId" text NOT NULL,
    "orderNumber" text,
    "orderValue" numeric(10,2),
    currency text NOT NULL DEFAULT 'USD'::text,
    "eventId" text,
    platform text NOT NULL DEFAULT 'meta'::text,
    "eventType" text NOT NULL DEFAULT 'purchase'::text,
    status text NOT NULL DEFAULT 'pending'::text,
    attempts integer NOT NULL DEFAULT 0,
    "errorMessage" text,
    "platformResponse" jsonb,
    "createdAt" timestamp(3) without time zone NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'::text),
    "sentAt" timestamp(3) without time zone,
    CONSTRAINT "ConversionLog_pkey" PRIMARY KEY (id),
    CONSTRAINT "ConversionLog_shopId_fkey" FOREIGN KEY ("shopId") REFERENCES "Shop"(id) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE UNIQUE INDEX "efface_ConversionLog_key" ON public."ConversionLog" USING btree ("shopId", "orderId", platform, "eventType");
CREATE INDEX "efface_ConversionLog_shopId_createdAt_idx" ON public."ConversionLog" USING btree ("shopId", "createdAt");
CREATE INDEX "efface_ConversionLog_shopId_orderId_idx" ON public."ConversionLog" USING btree ("shopId", "orderId");

CREATE TABLE "DeletionReceipt" (
    id text NOT NULL,
    "jobId" text NOT NULL,
    "shopDomain" text NOT NULL,
    "jobType" text NOT NULL,
    outcome text NOT NULL,
    envelope bytea NOT NULL STORAGE EXTERNAL,
    "keyId" text NOT NULL,
    "createdAt" timestamp with time zone NOT NULL,
    "expiresAt" timestamp with time zone NOT NULL,
    CONSTRAINT "DeletionReceipt_pkey" PRIMARY KEY (id)
) WITH (toast_tuple_target=8160);
CREATE UNIQUE INDEX "DeletionReceipt_jobId_key" ON public."DeletionReceipt" USING btree ("jobId");

CREATE TABLE "ExportPackage" (
    id text NOT NULL,
    "jobId" text NOT NULL,
    "shopDomain" text NOT NULL,
    status text NOT NULL,
    "rowsTotal" bigint NOT NULL DEFAULT 0,
    counts jsonb NOT NULL,
    "createdAt" timestamp with time zone NOT NULL,
    "readyAt" timestamp with time zone,
    "expiresAt" timestamp with time zone NOT NULL,
    "removedAt" timestamp with time zone,
    contents jsonb,
    "receivedAt" timestamp with time zone,
    "linkDigest" bytea,
    "linkExpiresAt" timestamp with time zone,
    "linkRecipient" text,
    "linkTries" integer NOT NULL DEFAULT 0,
    "linkUsedAt" timestamp with time zone,
    CONSTRAINT "ExportPackage_pkey" PRIMARY KEY (id)
);
CREATE UNIQUE INDEX "ExportPackage_jobId_key" ON public."ExportPackage" USING btree ("jobId");

CREATE TABLE "ExportPart" (
    id text NOT NULL,
    "packageId" text NOT NULL,
    sequence integer NOT NULL,
    "tableName" text NOT NULL,
    rows integer NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT "ExportPart_pkey" PRIMARY KEY (id)
);
CREATE UNIQUE INDEX "ExportPart_packageId_sequence_key" ON public."ExportPart" USING btree ("packageId", sequence);

CREATE TABLE "GDPRJob" (
    id text NOT NULL,
    "shopDomain" text NOT NULL,
    "shopId" text,
    "jobType" text NOT NULL,
    status text NOT NULL,
    outcome text,
    topic text NOT NULL,
    provider text NOT NULL,
    source text NOT NULL,
    payload jsonb NOT NULL,
    "sealedPayload" bytea,
    "bodyDigest" text NOT NULL,
    result jsonb,
    progress jsonb,
    "errorMessage" text,
    "holdReason" text,
    attempts integer NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    "leaseUntil" timestamp with time zone,
    "leaseOwner" text,
    "webhookId" text NOT NULL,
    "eventId" text,
    "triggeredAt" timestamp with time zone,
    "createdAt" timestamp with time zone NOT NULL,
    "dueAt" timestamp with time zone NOT NULL,
    "scheduledAt" timestamp with time zone NOT NULL,
    "processedAt" timestamp with time zone,
    "verifiedAt" timestamp with time zone,
    "completedAt" timestamp with time zone,
    "updatedAt" timestamp with time zone NOT NULL,
    "planHash" text,
    "approvedPlan" text,
    CONSTRAINT "GDPRJob_pkey" PRIMARY KEY (id)
) WITH (fillfactor=50);
CREATE INDEX "GDPRJob_dueAt_idx" ON public."GDPRJob" USING btree ("dueAt") WHERE (status = ANY (ARRAY['queued'::text, 'processing'::text, 'retrying'::text, 'held'::text, 'failed'::text]));
CREATE INDEX "GDPRJob_leaseUntil_idx" ON public."GDPRJob" USING btree ("leaseUntil") WHERE (status = 'processing'::text);
CREATE INDEX "GDPRJob_scheduledAt_id_idx" ON public."GDPRJob" USING btree ("scheduledAt", id) WHERE (status = ANY (ARRAY['queued'::text, 'retrying'::text]));
CREATE INDEX "GDPRJob_shopDomain_id_idx" ON public."GDPRJob" USING btree ("shopDomain", id);

CREATE TABLE "LegalHold" (
    id text NOT NULL,
    scope text NOT NULL,
    "shopDomain" text,
    "tableName" text,
    reason text NOT NULL,
    "placedBy" text NOT NULL,
    "placedAt" timestamp with time zone NOT NULL,
    "reviewAt" timestamp with time zone,
    "releasedAt" timestamp with time zone,
    "releasedBy" text,
    subject jsonb,
    CONSTRAINT "LegalHold_pkey" PRIMARY KEY (id)
);
CREATE INDEX "LegalHold_shopDomain_idx" ON public."LegalHold" USING btree ("shopDomain") WHERE ("releasedAt" IS NULL);

CREATE TABLE "PixelEventReceipt" (
    id text NOT NULL,
    "shopId" text NOT NULL,
    "orderId" text NOT NULL,
    "eventType" text NOT NULL DEFAULT 'purchase'::text,
    "eventId" text,
    "checkoutToken" text,
    "pixelTimestamp" timestamp(3) without time zone,
    "consentState" jsonb,
    "trustLevel" text,
    "originHost" text,
    metadata jsonb,
    "createdAt" timestamp(3) without time zone NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'::text),
    CONSTRAINT "PixelEventReceipt_pkey" PRIMARY KEY (id),
    CONSTRAINT "PixelEventReceipt_shopId_fkey" FOREIGN KEY ("shopId") REFERENCES "Shop"(id) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE UNIQUE INDEX "efface_PixelEventReceipt_key" ON public."PixelEventReceipt" USING btree ("shopId", "orderId", "eventType");
CREATE INDEX "efface_PixelEventReceipt_shopId_createdAt_idx" ON public."PixelEventReceipt" USING btree ("shopId", "createdAt");
CREATE INDEX "efface_PixelEventReceipt_shopId_orderId_idx" ON public."PixelEventReceipt" USING btree ("shopId", "orderId");

CREATE TABLE "ReconciliationReport" (
    id text NOT NULL,
    "shopId" text NOT NULL,
    platform text NOT NULL DEFAULT 'meta'::text,
    "reportDate" date NOT NULL,
    "shopifyOrders" integer NOT NULL DEFAULT 0,
    "shopifyRevenue" numeric(10,2) NOT NULL DEFAULT 0,
    "platformConversions" integer NOT NULL DEFAULT 0,
    "platformRevenue" numeric(10,2) NOT NULL DEFAULT 0,
    "orderDiscrepancy" double precision NOT NULL DEFAULT 0,
    "revenueDiscrepancy" double precision NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'pending'::text,
    "createdAt" timestamp(3) without time zone NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'::text),
    CONSTRAINT "ReconciliationReport_pkey" PRIMARY KEY (id),
    CONSTRAINT "ReconciliationReport_shopId_fkey" FOREIGN KEY ("shopId") REFERENCES "Shop"(id) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE UNIQUE INDEX "efface_ReconciliationReport_key" ON public."ReconciliationReport" USING btree ("shopId", platform, "reportDate");
CREATE INDEX "efface_ReconciliationReport_shopId_createdAt_idx" ON public."ReconciliationReport" USING btree ("shopId", "createdAt");

CREATE TABLE "RetentionRun" (
    id text NOT NULL,
    trigger text NOT NULL,
    policy text NOT NULL,
    "tableName" text NOT NULL,
    cutoff timestamp with time zone,
    "rowsPurged" bigint NOT NULL DEFAULT 0,
    "rowsHeld" bigint NOT NULL DEFAULT 0,
    batches integer NOT NULL DEFAULT 0,
    strategy text,
    "dryRun" boolean NOT NULL DEFAULT false,
    "limitReached" boolean NOT NULL DEFAULT false,
    error text,
    "startedAt" timestamp with time zone NOT NULL,
    "finishedAt" timestamp with time zone,
    "sweepId" text,
    store text NOT NULL DEFAULT 'default'::text,
    "rowsDue" bigint NOT NULL DEFAULT 0,
    because text,
    "longestMs" bigint NOT NULL DEFAULT 0,
    vacuumed boolean NOT NULL DEFAULT false,
    resume text,
    CONSTRAINT "RetentionRun_pkey" PRIMARY KEY (id)
);
CREATE INDEX "RetentionRun_policy_id_idx" ON public."RetentionRun" USING btree (policy, id);

CREATE TABLE "SchedulerLease" (
    name text NOT NULL,
    owner text NOT NULL,
    fence bigint NOT NULL,
    "leaseUntil" timestamp with time zone NOT NULL,
    "slotAt" timestamp with time zone,
    CONSTRAINT "SchedulerLease_pkey" PRIMARY KEY (name)
);

CREATE TABLE "SealingKey" (
    id text NOT NULL,
    purpose text NOT NULL,
    "wrappedKey" bytea,
    "kekId" text NOT NULL,
    "createdAt" timestamp with time zone NOT NULL,
    "destroyedAt" timestamp with time zone,
    CONSTRAINT "SealingKey_pkey" PRIMARY KEY (id)
);

CREATE TABLE "Shop" (
    id text NOT NULL,
    "shopDomain" text NOT NULL,
    email text,
    name text,
    plan text,
    "installedAt" timestamp(3) without time zone DEFAULT (now() AT TIME ZONE 'UTC'::text),
    "uninstalledAt" timestamp(3) without time zone,
    "isActive" boolean NOT NULL DEFAULT true,
    "dataRetentionDays" integer NOT NULL DEFAULT 90,
    "createdAt" timestamp(3) without time zone NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'::text),
    "updatedAt" timestamp(3) without time zone NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'::text),
    CONSTRAINT "Shop_pkey" PRIMARY KEY (id)
);
CREATE UNIQUE INDEX "efface_Shop_key" ON public."Shop" USING btree ("shopDomain");

CREATE TABLE "Suppression" (
    "createdAt" timestamp with time zone NOT NULL,
    "jobId" text NOT NULL,
    "shopDomain" text NOT NULL,
    "shopId" text,
    purpose text NOT NULL,
    "keyId" text NOT NULL,
    digests bytea NOT NULL,
    "shopKeys" jsonb,
    "expiresAt" timestamp with time zone NOT NULL,
    "sweepsDone" integer NOT NULL DEFAULT 0,
    "nextSweepAt" timestamp with time zone,
    CONSTRAINT "Suppression_pkey" PRIMARY KEY ("createdAt", "jobId")
);
CREATE INDEX "Suppression_expiresAt_idx" ON public."Suppression" USING btree ("expiresAt") WHERE ("nextSweepAt" IS NULL);
CREATE INDEX "Suppression_nextSweepAt_idx" ON public."Suppression" USING btree ("nextSweepAt") WHERE ("nextSweepAt" IS NOT NULL);

CREATE TABLE "SuppressionDigest" (
    digest bytea NOT NULL,
    "expiresAt" timestamp with time zone NOT NULL,
    CONSTRAINT "SuppressionDigest_pkey" PRIMARY KEY (digest)
);
CREATE INDEX "SuppressionDigest_expiresAt_idx" ON public."SuppressionDigest" USING btree ("expiresAt");

CREATE TABLE "SuppressionKey" (
    "shopDomain" text NOT NULL,
    "keyId" text NOT NULL,
    "inner" bytea NOT NULL,
    "outer" bytea NOT NULL,
    CONSTRAINT "SuppressionKey_pkey" PRIMARY KEY ("shopDomain", "keyId")
);

CREATE TABLE "SurveyResponse" (
    id text NOT NULL,
    "shopId" text NOT NULL,
    "orderId" text NOT NULL,
    "orderNumber" text,
    rating integer,
    feedback text,
    source text,
    "customAnswers" jsonb,
    "createdAt" timestamp(3) without time zone NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'::text),
    CONSTRAINT "SurveyResponse_pkey" PRIMARY KEY (id),
    CONSTRAINT "SurveyResponse_shopId_fkey" FOREIGN KEY ("shopId") REFERENCES "Shop"(id) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX "efface_SurveyResponse_shopId_createdAt_idx" ON public."SurveyResponse" USING btree ("shopId", "createdAt");
CREATE INDEX "efface_SurveyResponse_shopId_orderId_idx" ON public."SurveyResponse" USING btree ("shopId", "orderId");

CREATE TABLE "WebhookLog" (
    id text NOT NULL,
    "shopDomain" text NOT NULL,
    "webhookId" text NOT NULL,
    topic text NOT NULL,
    "eventId" text,
    provider text NOT NULL,
    source text NOT NULL,
    "apiVersion" text,
    "bodyDigest" text NOT NULL,
    "jobKey" text,
    status text NOT NULL,
    reason text,
    "jobId" text,
    deliveries integer NOT NULL DEFAULT 1,
    "triggeredAt" timestamp with time zone,
    "receivedAt" timestamp with time zone NOT NULL,
    CONSTRAINT "WebhookLog_pkey" PRIMARY KEY (id)
);
CREATE UNIQUE INDEX "WebhookLog_jobKey_key" ON public."WebhookLog" USING btree ("jobKey") WHERE ("jobKey" IS NOT NULL);
CREATE INDEX "WebhookLog_receivedAt_idx" ON public."WebhookLog" USING btree ("receivedAt");
CREATE UNIQUE INDEX "WebhookLog_shopDomain_webhookId_topic_key" ON public."WebhookLog" USING btree ("shopDomain", "webhookId", topic);

CREATE TABLE "efface_migrations" (
    version character varying NOT NULL,
    applied_at bigint NOT NULL,
    CONSTRAINT efface_migrations_pkey PRIMARY KEY (version)
);

CREATE TABLE "efface_reference_migrations" (
    version character varying NOT NULL,
    applied_at bigint NOT NULL,
    CONSTRAINT efface_reference_migrations_pkey PRIMARY KEY (version)
);
