//! The card network as a process: spoken to over HTTP, killed, and started again on its books.

mod books;
mod captures;
mod cards;
mod process;
mod refunds;
mod requests;
mod voids;
