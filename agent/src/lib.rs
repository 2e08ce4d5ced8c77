//! The agent's desktop: a pop-up that says who is calling and how we stand with them, the list of
//! recent calls, and for supervisors every live call. What decides is in `model` and the `views`'
//! data; what touches the world is in `net`, `window` and `fonts`; `app` and `headless` wire both.

pub mod app;
pub mod autostart;
pub mod command;
pub mod config;
pub mod dial;
pub mod drafts;
pub mod fonts;
pub mod headless;
pub mod icon;
pub mod keyring;
pub mod links;
pub mod model;
pub mod net;
pub mod notice;
pub mod outside;
pub mod place;
pub mod settings;
pub mod shortcuts;
pub mod sound;
pub mod text;
pub mod theme;
pub mod tray;
pub mod views;
pub mod window;
pub mod words;

#[cfg(test)]
mod sample;
