//! A worker that is stopped past its lease and continued commits nothing: its jobs are done by then, once.

mod postgres;
