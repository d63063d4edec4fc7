//! Everything at once: erasures, requests, re-sweeps and the app itself, on the same rows. No job fails or loses an
//! attempt over it, and each row that went is counted once.

mod crowd;
mod meetings;
pub mod stage;
