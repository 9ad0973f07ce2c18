//! The command line of Postbox. See the library for how it is built.

use std::process::ExitCode;

// one thread, so that it lives as long as the process: the kernel ends children with the thread that started them
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    postbox::run().await
}
