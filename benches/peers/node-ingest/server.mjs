// The ingest a Node team would write: express, Shopify's own library for the signature, amqplib with confirms.
// LISTEN (host:port), AMQP_URL, SECRET and QUEUE come from the environment.
import '@shopify/shopify-api/adapters/node';
import { ApiVersion, LogSeverity, shopifyApi } from '@shopify/shopify-api';
import amqp from 'amqplib';
import express from 'express';

const { LISTEN, AMQP_URL, SECRET, QUEUE } = process.env;

const shopify = shopifyApi({
  apiKey: 'bench',
  apiSecretKey: SECRET,
  apiVersion: Object.values(ApiVersion).at(-1),
  hostName: 'localhost',
  isEmbeddedApp: true,
  logger: { level: LogSeverity.Error },
});

const connection = await amqp.connect(AMQP_URL, { noDelay: true });
const channel = await connection.createConfirmChannel();
await channel.assertExchange(QUEUE, 'topic', { durable: true });
await channel.assertQueue(QUEUE, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
await channel.bindQueue(QUEUE, QUEUE, '#');

// A mandatory message that no queue takes comes back here, and then its confirm must not count.
const returned = new Set();
channel.on('return', (message) => returned.add(message.properties.messageId));

function publish(topic, body, headers, messageId) {
  return new Promise((resolve, reject) => {
    channel.publish(
      QUEUE,
      topic.replace('/', '.'),
      body,
      { persistent: true, mandatory: true, contentType: 'application/json', headers, messageId },
      (error) => (error || returned.delete(messageId) ? reject(error ?? new Error('unroutable')) : resolve()),
    );
  });
}

const app = express();
app.disable('x-powered-by');
app.disable('etag');
app.get('/ready', (_request, response) => response.sendStatus(200));
app.post(/^\/webhooks/, express.raw({ type: '*/*', limit: '1mb' }), async (request, response) => {
  const check = await shopify.webhooks.validate({
    rawBody: request.body.toString('utf8'),
    rawRequest: request,
    rawResponse: response,
  });
  if (!check.valid) return response.status(401).end();
  const headers = {
    'X-Shopify-Hmac-Sha256': request.get('X-Shopify-Hmac-Sha256'),
    'X-Shopify-Topic': request.get('X-Shopify-Topic'),
    'X-Shopify-Shop-Domain': check.domain,
    'X-Shopify-Webhook-Id': check.webhookId,
  };
  try {
    await publish(headers['X-Shopify-Topic'], request.body, headers, check.webhookId);
    response.status(200).end();
  } catch {
    response.status(503).end();
  }
});

const [host, port] = LISTEN.split(':');
const server = app.listen(Number(port), host);
process.on('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  connection.close().finally(() => process.exit(0));
});
