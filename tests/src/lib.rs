//! Whole-platform stories over real processes and HTTP.
