//! What whole-system tests share.

pub mod ears;
pub mod lab;
pub mod measure;
pub mod site;
