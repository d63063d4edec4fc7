//! Pulls webhooks from RabbitMQ and publishes to it.
