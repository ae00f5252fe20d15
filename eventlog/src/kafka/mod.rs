//! The kafka engine.
