//! Timers only: which room to call, how often, with which limit.
