// An endpoint that checks webhooks with Shopify's own client library, and answers as Shopify's app template does.
//
//   node webhook-endpoint.mjs PACKAGES SECRET
//
// PACKAGES is a folder with node_modules/@shopify/shopify-api. Prints its address once it listens; ends with its stdin.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const [packages, apiSecretKey] = process.argv.slice(2);
const require = createRequire(join(packages, 'package.json'));
require('@shopify/shopify-api/adapters/node');
const { shopifyApi, LogSeverity, WebhookValidationErrorReason } = require('@shopify/shopify-api');

const shopify = shopifyApi({
  apiKey: 'key',
  apiSecretKey,
  apiVersion: '2026-10',
  hostName: 'localhost',
  isEmbeddedApp: true,
  logger: { level: LogSeverity.Error },
});

async function answer(request, response) {
  if (request.method !== 'POST') return 405;
  const rawBody = await text(request);
  const { valid, reason } = await shopify.webhooks.validate({ rawBody, rawRequest: request, rawResponse: response });
  if (!valid) return reason === WebhookValidationErrorReason.InvalidHmac ? 401 : 400;
  JSON.parse(rawBody);
  return 200;
}

const server = createServer((request, response) => {
  // What is thrown becomes an error of the server, as frameworks have it.
  answer(request, response).catch(() => 500).then((status) => response.writeHead(status).end());
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/webhooks`));
process.stdin.resume().on('end', () => process.exit());
