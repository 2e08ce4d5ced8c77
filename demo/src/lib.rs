//! Pinkas on one machine: a pretend phone system, a sample company and scripted calls.
//! The `pinkas-demo` program runs them; the whole-system tests borrow them.

pub mod company;
pub mod pbx;
pub mod script;

pub mod office;
pub mod run;
pub mod terminal;
