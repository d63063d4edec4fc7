//! Makes a webhook durable: broker first, database when the broker is silent.
