//! A stand-in card network with its own books.
