//! The interface as it is published: `docs/openapi.json`.

use std::{path::Path, process::Command};

#[test]
fn the_published_document_is_what_the_routes_say() {
    let told = Command::new(env!("CARGO_BIN_EXE_gateway")).arg("openapi").output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let published = std::fs::read_to_string(page).unwrap_or_default();
    let is_same = String::from_utf8(told.stdout).unwrap() == published;
    assert!(is_same, "docs/openapi.json is not what the gateway says of itself: `make interface` writes it anew");
}
