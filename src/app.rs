//! Builds pools, keys, rooms and tasks from the configuration.
