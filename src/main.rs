//! The door: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use stream_replicator::cli::{Arguments, Exit, execute};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, everything else is wrong usage.
            let exit = if error.use_stderr() { Exit::BadSettings } else { Exit::Done };
            let _ = error.print();
            return exit.into();
        }
    };
    execute(arguments).await.into()
}
