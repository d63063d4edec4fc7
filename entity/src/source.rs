//! Through which door a webhook came in.

use crate::text_enum::text_enum;

text_enum! {
    /// The door a webhook or a job came through; a child of an erasure names what found its rows.
    pub enum Source {
        /// Posted to the HTTP door; also when the broker carried it from there.
        Http = "http",
        /// Published to RabbitMQ by somebody else.
        Amqp = "amqp",
        /// Asked for by an operator, over the API or the command line.
        Operator = "operator",
        /// Made by a re-sweep that found rows of somebody who had been erased.
        Sweep = "sweep",
        /// Made by a replay after a restore from a backup.
        Replay = "replay",
    }
}
