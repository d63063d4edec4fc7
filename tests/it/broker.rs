//! What the broker room promises. Everything here talks to a real RabbitMQ.

pub mod rabbitmq;
