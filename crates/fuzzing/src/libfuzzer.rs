//! A target as libFuzzer's.

use std::{
    env, fs,
    panic::{AssertUnwindSafe, RefUnwindSafe},
    path::Path,
};

/// Puts the examples where libFuzzer looks for what to begin with: `FUZZING_EXAMPLES` names the folder.
pub fn sow(examples: &[impl AsRef<[u8]>]) {
    let Ok(folder) = env::var("FUZZING_EXAMPLES") else { return };
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("FUZZING_EXAMPLES {folder}: {error}"));
    for (number, example) in (1..).zip(examples) {
        let path = Path::new(&folder).join(format!("example-{number}"));
        fs::write(&path, example).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// The property, said to be fit to be tried again after a panic. It is not tried again: a panic ends the process.
pub fn unwinding(property: impl FnMut(&[u8])) -> impl FnMut(&[u8]) + RefUnwindSafe {
    let mut property = AssertUnwindSafe(property);
    move |input: &[u8]| {
        let property = &mut property;
        (property.0)(input);
    }
}
