//! The engine by its public door.
