//! Reading what phone systems write: pure functions from text to values.
//! Everything here takes any bytes, does bounded work and never panics.

pub mod dialog_info;
pub mod identity;
