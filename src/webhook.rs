//! Reads and checks what a sender posted: pure functions, no IO, no clock.
