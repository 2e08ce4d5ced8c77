//! Hears a phone system over SIP and tells the hub who is calling whom.
//! The adapter only listens: it sends SUBSCRIBE and answers NOTIFY, never INVITE or REFER, and
//! registers nothing that could take a call from a phone.

pub mod arguments;
pub mod sip;

pub mod calls;
pub mod check;
pub mod config;
pub mod explain;
pub mod hear;
pub mod metrics;
pub mod outbox;
pub mod replay;
pub mod run;
pub mod uplink;

pub mod fuzz;
