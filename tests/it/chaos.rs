//! The whole program under fire: see `postgres::rabbitmq::campaign`.

mod postgres {
    mod rabbitmq {
        mod books;
        mod campaign;
        mod kills;
        mod senders;
        mod world;
    }
}
