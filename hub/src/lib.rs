//! Gathers what a company knows about a caller and tells the agent whose phone rings.
//! `core` decides and is pure; `links`, `sources` and `store` touch the world; `run` wires them.

pub mod core;

pub mod access;
pub mod admin;
pub mod arguments;
pub mod check;
mod clock;
pub mod config;
pub mod gather;
pub mod identify;
pub mod last;
pub mod links;
pub mod lookup;
pub mod metrics;
pub mod run;
pub mod sources;
pub mod store;
