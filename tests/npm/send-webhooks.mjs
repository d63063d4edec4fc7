// Sends webhooks signed by Shopify's own client library, as its test helpers sign them.
//
//   node send-webhooks.mjs PACKAGES ADDRESS < requests.json
//
// PACKAGES is a folder with node_modules/@shopify/shopify-api. A request is
//   { store, topic, webhookId, eventId, secret, body, tamper?: "body" | "unsigned" }
// and is sent when the one before it is answered. Prints the answers as a JSON list of { status, body }.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const [packages, address] = process.argv.slice(2);
const require = createRequire(join(packages, 'package.json'));
require('@shopify/shopify-api/adapters/node');
const { setUpValidRequest, RequestType } = require('@shopify/shopify-api/test-helpers');

const answers = [];
for (const { store, topic, webhookId, eventId, secret, body, tamper } of JSON.parse(await text(process.stdin))) {
  const headers = {
    'Content-Type': 'application/json',
    'X-Shopify-Topic': topic,
    'X-Shopify-API-Version': '2026-10',
    'X-Shopify-Webhook-Id': webhookId,
    'X-Shopify-Event-Id': eventId,
    'X-Shopify-Triggered-At': '2026-11-21T08:00:00.123456789Z',
  };
  const options = { type: RequestType.Extension, store, apiSecretKey: secret, body, headers };
  let request = await setUpValidRequest(options, new Request(`${address}/webhooks`, { method: 'POST' }));
  if (tamper === 'unsigned') request.headers.delete('X-Shopify-Hmac-Sha256');
  if (tamper === 'body') {
    request = new Request(request.url, { method: 'POST', headers: request.headers, body: (await request.text()) + ' ' });
  }
  const answer = await fetch(request, { redirect: 'manual' });
  answers.push({ status: answer.status, body: await answer.json() });
}
console.log(JSON.stringify(answers));
