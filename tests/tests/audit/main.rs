//! `postbox audit` on real platforms: it finds nothing where nothing is wrong, and each check finds what it is for.

mod breakage;
mod breakages;
mod clean;
mod firing;
mod operator_for_all;
mod orders;
mod shop;
mod watching;
