-- Beginnings and ends of jobs, as intake and workers write them. (An identity column numbers them.)
INSERT INTO "AuditLog" ("id", "actorType", "actorId", "action", "resourceType", "resourceId", "shopDomain", "metadata",
  "ipAddress", "salt", "createdAt")
SELECT 'bench-' || lpad(g::text, 12, '0'),
  CASE g % 2 WHEN 0 THEN 'webhook' ELSE 'system' END, CASE g % 2 WHEN 0 THEN 'shopify' ELSE 'worker' END,
  CASE g % 2 WHEN 0 THEN 'create' ELSE 'delete' END, 'GDPRJob', 'gdpr_' || md5((g / 2)::text), '{shop}',
  CASE g % 2
    WHEN 0 THEN jsonb_build_object('jobType', 'customer_redact', 'source', 'http', 'webhookId', md5('w' || g), 'holdReason', null,
      'receivedAt', '2026-10-01T00:00:00.000Z')
    ELSE jsonb_build_object('jobType', 'customer_redact', 'outcome', 'erased', 'rows', 40, 'attempts', 1,
      'receipt', md5('a' || g) || md5('b' || g))
  END,
  '203.0.113.0/24', decode(md5('s' || g) || md5('t' || g), 'hex'), timestamptz '2026-10-01' + g * interval '10 milliseconds'
FROM generate_series(0, {events} - 1) AS g;
