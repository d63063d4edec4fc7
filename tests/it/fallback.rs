//! A webhook is accepted as long as either the broker or the database takes it, and never otherwise.

mod rabbitmq;
