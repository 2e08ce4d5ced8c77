//! What whole-system tests share.

pub mod lab;
pub mod site;
