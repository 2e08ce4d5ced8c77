//! Reading what phone systems write: pure functions from text to values.
//! Everything here takes any bytes, does bounded work and never panics.

pub mod message;

pub mod canonical;
pub mod charset;
pub mod name_addr;
pub mod uri;

pub mod identity;

mod byte_set;
mod diversion;
mod encoded;
mod stir;

pub mod display;
pub mod tags;

pub mod dialog_info;
pub mod multipart;
pub mod rlmi;
