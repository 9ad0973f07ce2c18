//! The command line of Postbox.
