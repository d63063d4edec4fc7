-- One row per order in each of four tables. {rows}, {shops}, {per_shop}, {first} (order) and {arrangement} are filled in by the bench:
-- the arrangement is the order in which rows reach the heap, `o` (a shop's orders side by side) or a hash of it (spread).
set session_replication_role = replica;

insert into "Shop" ("id", "shopDomain", "email", "name", "plan", "installedAt", "isActive", "dataRetentionDays", "createdAt", "updatedAt")
select 'shop-' || s, 'shop-' || s || '.myshopify.com', 'owner-' || s || '@example.com', 'Shop ' || s, 'basic',
       timestamp '2025-01-01', true, 90, timestamp '2025-01-01', timestamp '2025-01-01'
from generate_series(0, {shops} - 1) s;

create temporary table orders as
select 'shop-' || ((o - 1) / {per_shop}) as shop, ({first} + o)::text as id, o,
       timestamp '2026-01-01' + make_interval(secs => (o * 7919) % 25000000) as at
from generate_series(1, {rows}::bigint) o
order by {arrangement};

insert into "ConversionLog" ("id", "shopId", "orderId", "orderNumber", "orderValue", "currency", "eventId", "platform", "eventType", "status", "attempts", "platformResponse", "createdAt", "sentAt")
select 'clog-' || o, shop, id, '#' || o, (o % 50000) / 100.0, 'EUR', md5(id), 'meta', 'purchase', 'sent', 1,
       jsonb_build_object('events_received', 1, 'fbtrace_id', md5('trace' || id), 'messages', '[]'::jsonb), at, at
from orders;

insert into "ConversionJob" ("id", "shopId", "orderId", "orderNumber", "orderValue", "currency", "capiInput", "status", "attempts", "createdAt", "processedAt", "completedAt")
select 'cjob-' || o, shop, id, '#' || o, (o % 50000) / 100.0, 'EUR',
       jsonb_build_object('em', md5('mail' || id) || md5('mail2' || id), 'ph', md5('phone' || id) || md5('phone2' || id)), 'completed', 1, at, at, at
from orders;

insert into "PixelEventReceipt" ("id", "shopId", "orderId", "eventType", "eventId", "checkoutToken", "pixelTimestamp", "consentState", "trustLevel", "originHost", "metadata", "createdAt")
select 'pixel-' || o, shop, id, 'purchase', md5(id), md5('checkout' || id), at,
       '{"marketing": true, "analytics": true}'::jsonb, 'trusted', 'checkout.example.com', jsonb_build_object('userAgent', md5('agent' || id)), at
from orders;

insert into "SurveyResponse" ("id", "shopId", "orderId", "orderNumber", "rating", "feedback", "source", "customAnswers", "createdAt")
select 'survey-' || o, shop, id, '#' || o, o % 5 + 1, 'Found you through a friend ' || md5('f' || id), 'search', '{"again": "yes"}'::jsonb, at
from orders;

drop table orders;
set session_replication_role = default;
