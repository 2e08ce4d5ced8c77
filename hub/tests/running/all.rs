//! A running hub as a program: asked by whoever looks after it, its figures, a full disk, and many
//! who log in at once.

mod admin;
mod disk;
mod figures;
mod find;
mod flood;
mod office;
mod people;
