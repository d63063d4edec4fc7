-- The reference app's tables as the peers need them when Efface takes no part (`--only graphile,sql`).
-- With Efface among the contestants, `efface migrate up` makes them instead.
create table "Shop" (
  "id" text primary key,
  "shopDomain" text not null unique,
  "email" text,
  "name" text,
  "plan" text,
  "installedAt" timestamp(3) not null default now(),
  "uninstalledAt" timestamp(3),
  "isActive" boolean not null default true,
  "dataRetentionDays" integer not null default 90,
  "createdAt" timestamp(3) not null default now(),
  "updatedAt" timestamp(3) not null default now()
);

create table "ConversionLog" (
  "id" text primary key,
  "shopId" text not null references "Shop" ("id") on delete cascade,
  "orderId" text not null,
  "orderNumber" text,
  "orderValue" decimal(10, 2) not null,
  "currency" text not null,
  "eventId" text,
  "platform" text not null,
  "eventType" text not null,
  "status" text not null,
  "attempts" integer not null default 0,
  "errorMessage" text,
  "platformResponse" jsonb,
  "createdAt" timestamp(3) not null default now(),
  "sentAt" timestamp(3)
);
create unique index on "ConversionLog" ("shopId", "orderId", "platform", "eventType");
create index on "ConversionLog" ("shopId", "createdAt");
create index on "ConversionLog" ("shopId", "orderId");

create table "ConversionJob" (
  "id" text primary key,
  "shopId" text not null references "Shop" ("id") on delete cascade,
  "orderId" text not null,
  "orderNumber" text,
  "orderValue" decimal(10, 2) not null,
  "currency" text not null,
  "capiInput" jsonb,
  "status" text not null,
  "attempts" integer not null default 0,
  "errorMessage" text,
  "createdAt" timestamp(3) not null default now(),
  "processedAt" timestamp(3),
  "completedAt" timestamp(3)
);
create unique index on "ConversionJob" ("shopId", "orderId");
create index on "ConversionJob" ("shopId", "createdAt");

create table "PixelEventReceipt" (
  "id" text primary key,
  "shopId" text not null references "Shop" ("id") on delete cascade,
  "orderId" text,
  "eventType" text not null,
  "eventId" text,
  "checkoutToken" text,
  "pixelTimestamp" timestamp(3),
  "consentState" jsonb,
  "trustLevel" text,
  "originHost" text,
  "metadata" jsonb,
  "createdAt" timestamp(3) not null default now()
);
create unique index on "PixelEventReceipt" ("shopId", "orderId", "eventType");
create index on "PixelEventReceipt" ("shopId", "createdAt");
create index on "PixelEventReceipt" ("shopId", "orderId");

create table "SurveyResponse" (
  "id" text primary key,
  "shopId" text not null references "Shop" ("id") on delete cascade,
  "orderId" text not null,
  "orderNumber" text,
  "rating" integer,
  "feedback" text,
  "source" text,
  "customAnswers" jsonb,
  "createdAt" timestamp(3) not null default now()
);
create index on "SurveyResponse" ("shopId", "createdAt");
create index on "SurveyResponse" ("shopId", "orderId");
