//! Reads the configuration: typed, validated, all problems at once.
