//! What is looked at. Each view builds a data struct from the model (pure, tested) and draws it; it
//! says what the person wants as a `Command` and does nothing itself: no IO, no locks, no clock.

pub mod details;
pub mod follow_ups;
pub mod history;
pub mod list;
pub mod login;
pub mod main_window;
pub mod missed;
pub mod own_state;
pub mod pen;
pub mod popup;
pub mod queue;
pub mod settings;
pub mod writing;

#[cfg(test)]
mod tests;
