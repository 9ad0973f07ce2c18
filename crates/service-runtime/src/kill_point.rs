//! Kill points: named places at which a test has the process die at once, as `kill -9` would, between two of its steps.
//!
//! ```
//! # async fn commit() {}
//! # async fn keep() {
//! service_runtime::kill_point!("example.kept.before-commit");
//! commit().await;
//! service_runtime::kill_point!("example.kept.after-commit");
//! # }
//! ```
//!
//! They are off, and no code at all, unless the feature `failpoints` of the crate `fail` is on. The package of the journeys
//! turns it on, so a debug build of the workspace has them; every release build leaves that package out. A program that has
//! them dies where the environment says so, `FAILPOINTS="example.kept.before-commit=1*return"` at its first passing;
//! several points are separated by `;`.
//!
//! All points are listed in `docs/tour/kill-points.md`; a test compares the list with the sources.

use crate::Error;

/// Names a place at which the process can be made to die. The name is of the whole repository, and says what is going on
/// there: `<service or crate>.<step>.before-commit` or `….after-commit`.
#[macro_export]
macro_rules! kill_point {
    ($name:literal) => {
        $crate::kill_point::pass($name)
    };
}

/// Dies when the point is set. Use [`kill_point!`](crate::kill_point!), whose name can be found in the sources.
#[doc(hidden)]
pub fn pass(name: &'static str) {
    // without the feature, the macro does not look at it
    let _ = name;
    fail::fail_point!(name, |_| {
        // for whoever looks why a service died; nothing else is brought to its end
        eprintln!("killed at the kill point {name}");
        std::process::abort()
    });
}

/// The variable that sets points.
const VARIABLE: &str = "FAILPOINTS";

/// Sets the points that the environment names. Fails where this program has none: a test that waits for the death of a
/// process that cannot die shows nothing.
pub(crate) fn set_up() -> Result<(), Error> {
    match std::env::var(VARIABLE) {
        Ok(points) => set(&points, fail::has_failpoints()),
        Err(_) => Ok(()),
    }
}

fn set(points: &str, has_points: bool) -> Result<(), Error> {
    for point in points.split(';').map(str::trim).filter(|point| !point.is_empty()) {
        if !has_points {
            let cure = "unset it, or build the whole workspace without --release";
            return Err(Error::Config(format!("{VARIABLE}: this program was built without kill points; {cure}")));
        }
        let (name, action) = point.split_once('=').unwrap_or((point, ""));
        fail::cfg(name, action).map_err(|error| {
            Error::Config(format!("{VARIABLE}: {point:?} is nothing like order.placed.after-commit=1*return: {error}"))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_is_not_set_does_nothing() {
        for _ in 0..1_000 {
            crate::kill_point!("test.passed.before-commit");
        }
    }

    #[test]
    fn a_point_that_is_switched_off_does_nothing() {
        set("test.off.before-commit=off", true).expect("it is well written");
        crate::kill_point!("test.off.before-commit");
    }

    #[test]
    fn what_cannot_be_set_is_told_in_one_line_that_names_the_variable() {
        for (points, has_points) in [("a.b.before-commit=return", false), ("a.b", true), ("a.b=fly", true)] {
            let line = set(points, has_points).expect_err(points).to_string();
            assert!(line.starts_with("FAILPOINTS: ") && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn no_points_are_no_mistake() {
        for nothing in ["", " ; "] {
            set(nothing, false).expect("there is nothing to set");
        }
    }
}
