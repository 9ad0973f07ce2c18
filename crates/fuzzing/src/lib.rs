//! Properties that must hold of whatever strangers send, and somebody who sends it.
//!
//! A target is an ordinary test of a library, in a module `fuzz`, with [`target!`] in it: a name, some inputs as they should be or nearly so,
//! and a property of bytes that panics where it does not hold. It is tried in two ways:
//!
//! - in every run of the tests, with its examples, with what was kept in `corpus/NAME` of its package, and with some thousand inputs that
//!   are made of those ([`changes`]): the same ones in every run;
//! - by `make fuzz`, with what libFuzzer finds, which sees the branches that an input takes. `scripts/fuzz` builds for that with
//!   `--cfg fuzzing`, finds every target by itself, and keeps in `corpus/NAME` what went wrong, and on demand what is worth keeping.

pub mod changes;

#[cfg(fuzzing)]
mod libfuzzer;
#[cfg(not(fuzzing))]
mod trying;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use bolero;
#[cfg(fuzzing)]
#[doc(hidden)]
pub use libfuzzer::{sow, unwinding};
#[cfg(not(fuzzing))]
#[doc(hidden)]
pub use trying::try_all;

/// Tries a property of bytes: `target!("prefer", EXAMPLES, |bytes| …)`, where the name is one of its own in the package, and the examples are
/// `&[&str]` or `&[&[u8]]`. Inputs are 4 KiB at the most.
#[cfg(not(fuzzing))]
#[macro_export]
macro_rules! target {
    ($name:literal, $examples:expr, $property:expr $(,)?) => {
        $crate::try_all(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/", $name), $examples, $property)
    };
}

/// As without `--cfg fuzzing`, but libFuzzer sends, until it is told to stop.
#[cfg(fuzzing)]
#[macro_export]
macro_rules! target {
    ($name:literal, $examples:expr, $property:expr $(,)?) => {{
        $crate::sow($examples);
        $crate::bolero::check!(name = $name).for_each($crate::unwinding($property));
    }};
}
