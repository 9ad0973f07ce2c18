//! What is broken, by what it is about.

pub mod doors;
pub mod effects;
pub mod letters;
pub mod money;
pub mod orders;
pub mod stock;
pub mod work;
