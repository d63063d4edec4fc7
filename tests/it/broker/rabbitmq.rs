//! Tests that need `EFFACE_TEST_AMQP_URL`. Those named `chaos` also stop and kill that broker, by `scripts/services`.

mod chaos;
mod consume;
pub mod proxy;
mod publish;
mod recovery;
mod stage;
