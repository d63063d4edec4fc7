//! Real erasures against an independent model, on random schemas.
//!
//! A case is drawn from a seed: one to three stores; tables with their keys, foreign keys and nulls; a data map over
//! them with every kind of match, action and mask; rows of several shops that look alike; jobs. The jobs run through
//! the same intake and worker as in `serve`. Afterwards every row of every table must be what the [`oracle`] says: gone,
//! masked in just those columns, or as it was to the byte; and the results must hold its figures and no residue.
//!
//! The oracle knows the documentation of the data map and none of the code under test. Options, from the environment:
//!
//! - `EFFACE_MODEL_CASES=20000`: so many cases per database instead of [`CASES`];
//! - `EFFACE_MODEL_FIRST=100000`: the first seed, 0 otherwise;
//! - `EFFACE_MODEL_SEED=4711`: this one case, as a failure names it;
//! - `EFFACE_MODEL_FAILURES=10`: goes on until so many cases have failed;
//! - `EFFACE_MODEL_TRIES=0`: tells a failing case after so many tries to make it smaller.
//!
//! A case that fails is made as small as it will go, and told: map, tables, rows, jobs, and what is wrong.

mod by_hand;
mod compare;
mod generator;
mod map_file;
mod oracle;
pub mod random;
mod rows;
mod run;
mod schema;
mod shrink;
mod sql;
mod words;

use schema::Dialect;

/// Cases per database in the suite.
const CASES: u64 = 2_000;

mod sqlite {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_row_and_every_figure_is_what_the_model_says() {
        Box::pin(super::run::campaign(super::Dialect::Sqlite)).await;
    }
}

mod postgres {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_row_and_every_figure_is_what_the_model_says() {
        Box::pin(super::run::campaign(super::Dialect::Postgres)).await;
    }
}
