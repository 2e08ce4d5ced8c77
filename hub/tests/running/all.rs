//! A running hub as a program: asked by whoever looks after it, its figures, and many who log in at once.

mod admin;
mod figures;
mod find;
mod flood;
mod office;
mod people;
