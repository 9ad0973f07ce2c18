//! Compiles the protos with protox, so that a clone builds with no protoc and no network.

use std::{env, error::Error, fs, path::PathBuf};

/// Every proto file, in the order of the README.
const PROTOS: [&str; 15] = [
    "money/v1/money.proto",
    "problem/v1/problem.proto",
    "order/v1/order.proto",
    "inventory/v1/inventory.proto",
    "payment/v1/payment.proto",
    "accounts/v1/accounts.proto",
    "shipping/v1/shipping.proto",
    "notification/v1/notification.proto",
    "analytics/v1/analytics.proto",
    "events/v1/order.proto",
    "events/v1/inventory.proto",
    "events/v1/payment.proto",
    "events/v1/accounts.proto",
    "events/v1/shipping.proto",
    "events/v1/analytics.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for proto in PROTOS {
        println!("cargo::rerun-if-changed={proto}");
    }
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_source_info(true).include_imports(true).open_files(PROTOS)?;
    // reflection wants the bytes as the compiler made them: prost's own type drops options
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
